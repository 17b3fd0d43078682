/* Read facial expressions with an exported model of fer-edge: copy this file into your program.
 *
 * C++17 and nlohmann/json. Define FER_EDGE_OPENVINO (.onnx, .xml), FER_EDGE_NCNN (.param) or both.
 * One C++ file that defines FER_EDGE_C_INTERFACE gives the five functions to C. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
/* Open a model; NULL: it failed, see fer_error. `side` gets the width of a face in pixels. */
void* fer_open(const char* path, int threads, size_t* side);
void fer_close(void* reader);
const char* fer_label(const void* reader, size_t index); /* NULL after the last label */
/* Probabilities [count, labels] of gray faces [count, side, side]; 0, or 1: see fer_error. */
int fer_predict(void* reader, const uint8_t* faces, size_t count, float* probabilities);
const char* fer_error(void); /* of this thread's last failure */
#ifdef __cplusplus
}
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>
#ifdef FER_EDGE_OPENVINO
#include <openvino/openvino.hpp>
#include <openvino/opsets/opset1.hpp>
#endif
#ifdef FER_EDGE_NCNN
#include <net.h>
#endif

namespace fer_edge {
using Error = std::runtime_error;
using Faces = std::vector<uint8_t>;
using Floats = std::vector<float>;

/* What a model says of itself; the golden samples are faces with PyTorch's logits. */
struct Spec {
    std::string name, version, precision;
    std::vector<std::string> labels;
    size_t side = 0, samples = 0;
    double temperature = 1;                             /* of the softmax in the graph */
    bool packing = true, winograd = true, half = false; /* options of ncnn */
    Faces golden_faces;                                 /* [samples, side, side] */
    Floats golden_logits;                               /* [samples, labels] */
};

inline void append_base64(const std::string& text, Faces& bytes) {
    static const std::string digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;
    for (char letter : text) {
        const size_t digit = digits.find(letter);
        if (digit == std::string::npos) break; /* the "=" at the end */
        bits = bits << 6 | static_cast<unsigned>(digit);
        if ((count += 6) >= 8) bytes.push_back(static_cast<uint8_t>(bits >> (count -= 8)));
    }
}

inline Spec parse_spec(const std::string& text) {
    const auto document = nlohmann::json::parse(text);
    if (document.at("schema") != 1)
        throw Error("its spec has schema " + document["schema"].dump() + ", fer_edge.hpp reads 1");
    if (document.contains("task")) throw Error("it isn't a model of expressions");
    Spec spec;
    document.at("name").get_to(spec.name);
    document.at("version").get_to(spec.version);
    document.at("labels").get_to(spec.labels);
    document.at("input").at("side").get_to(spec.side);
    document.at("temperature").get_to(spec.temperature);
    document.at("quantization").at("precision").get_to(spec.precision);
    if (const auto& ncnn = document.at("ncnn"); ncnn.is_object()) {
        ncnn.at("packing").get_to(spec.packing);
        ncnn.at("winograd").get_to(spec.winograd);
        spec.half = ncnn.at("arithmetic") == "fp16";
    }
    for (const auto& sample : document.at("golden")) {
        append_base64(sample.at("face"), spec.golden_faces);
        const Floats logits = sample.at("logits");
        spec.golden_logits.insert(spec.golden_logits.end(), logits.begin(), logits.end());
        ++spec.samples;
    }
    if (spec.side < 16 || spec.side > 512 || spec.labels.empty() || !spec.samples ||
        spec.golden_faces.size() != spec.samples * spec.side * spec.side ||
        spec.golden_logits.size() != spec.samples * spec.labels.size())
        throw Error("side, labels or golden samples of its spec are missing or contradict");
    return spec;
}

/* Computes "logits" or "probabilities" [count, labels] of faces; for one thread at a time. */
using Engine = std::function<Floats(const uint8_t* faces, size_t count, const char* output)>;

#ifdef FER_EDGE_OPENVINO
/* OpenVINO would fuse an int8 model's residual sums into a convolution and round once, where the
 * model rounds twice. A 1 x 1 pool changes no value and prevents that. */
inline void keep_sums_apart(const ov::Model& model) {
    const auto is = [](const ov::Node* node, const std::string& type) {
        return node->get_type_name() == type;
    };
    const auto is_term = [&](const ov::Output<ov::Node>& output) { /* dequantized, for one sum */
        if (!is(output.get_node(), "Multiply") || output.get_target_inputs().size() != 1)
            return false;
        const auto* source = output.get_node()->get_input_node_ptr(0);
        if (is(source, "Subtract")) source = source->get_input_node_ptr(0); /* the zero point */
        return is(source, "Convert") && output.get_partial_shape().size() == 4;
    };
    for (const auto& node : model.get_ordered_ops())
        for (auto input : node->inputs())
            if (const auto term = input.get_source_output(); is(node.get(), "Add") && is_term(term))
                input.replace_source_output(std::make_shared<ov::opset1::MaxPool>(
                    term, ov::Strides{1, 1}, ov::Shape{0, 0}, ov::Shape{0, 0}, ov::Shape{1, 1}));
}

inline Engine open_openvino(const std::string& path, int threads, Spec& spec) {
    static auto& core = *new ov::Core; /* kept: its end takes a thread's signal stack along */
    const auto model = core.read_model(path);
    const bool is_ir = model->has_rt_info("fer_edge");
    if (!is_ir && !model->has_rt_info("framework", "fer_edge")) throw Error("it holds no spec");
    spec = parse_spec(is_ir ? model->get_rt_info<std::string>("fer_edge")
                            : model->get_rt_info<std::string>("framework", "fer_edge"));
#ifdef __aarch64__
    if (spec.precision == "int8") throw Error("OpenVINO's int8 is wrong on ARM: use an fp32 file");
#endif
    keep_sums_apart(*model);
    auto compiled = core.compile_model(model, "CPU", ov::inference_num_threads(threads),
                                       ov::hint::inference_precision(ov::element::f32));
    return [request = compiled.create_infer_request(), side = spec.side](
               const uint8_t* faces, size_t count, const char* output) mutable {
        request.set_tensor("faces", ov::Tensor(ov::element::u8, {count, side, side}, faces));
        request.infer();
        const ov::Tensor found = request.get_tensor(output);
        return Floats(found.data<float>(), found.data<float>() + found.get_size());
    };
}
#endif

#ifdef FER_EDGE_NCNN
inline Engine open_ncnn(const std::string& path, int threads, Spec& spec) {
    const auto stem = path.substr(0, path.rfind('.'));
    std::ifstream file(stem + ".json");
    if (!file) throw Error("its .json isn't beside it");
    spec = parse_spec({std::istreambuf_iterator<char>(file), {}});
    const auto net = std::make_shared<ncnn::Net>();
    auto& option = net->opt;
    option.use_vulkan_compute = option.use_bf16_storage = false;
    option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = spec.half;
    option.use_packing_layout = spec.packing;
    option.use_winograd_convolution = spec.winograd;
    option.num_threads = std::max(threads, 1);
    if (net->load_param(path.c_str()) || net->load_model((stem + ".bin").c_str()))
        throw Error("ncnn can't load it or its .bin");
    return [net, side = static_cast<int>(spec.side)](const uint8_t* faces, size_t count,
                                                     const char* output) {
        Floats result;
        for (size_t i = 0; i < count; ++i, faces += side * side) {
            auto extractor = net->create_extractor();
            ncnn::Mat pixels(side, side, 1), found;
            std::copy(faces, faces + side * side, &pixels[0]);
            if (extractor.input("faces", pixels) || extractor.extract(output, found))
                throw Error("ncnn can't compute it");
            result.insert(result.end(), &found[0], &found[0] + found.w);
        }
        return result;
    };
}
#endif

inline const std::map<std::string, Engine (*)(const std::string&, int, Spec&)> engines = {
#ifdef FER_EDGE_OPENVINO
    {".onnx", open_openvino}, {".xml", open_openvino},
#endif
#ifdef FER_EDGE_NCNN
    {".param", open_ncnn},
#endif
};

/* A model that predicted two of its golden samples as PyTorch does; `threads` 0: the engine's own
 * choice. Every failure is an Error that names the file. */
class Reader {
  public:
    explicit Reader(const std::string& path, int threads = 1) : path_(path) {
        named([&] {
            const auto engine = engines.find(path.substr(std::min(path.rfind('.'), path.size())));
            if (engine == engines.end()) throw Error("no engine of this program reads such a file");
            if (std::ifstream(path).peek() == EOF) throw Error("it can't be read, or is empty");
            engine_ = engine->second(path, threads, spec_);
        });
        compare_golden(std::max<size_t>(spec_.samples / 2, 1));
    }

    const Spec& spec() const { return spec_; }

    /* Probabilities [count, labels] of gray faces [count, side, side]. */
    Floats predict(const uint8_t* faces, size_t count) {
        return named([&] { return compute(faces, count, "probabilities"); });
    }

    /* The largest difference from PyTorch's logits over every `step`th golden sample. */
    float compare_golden(size_t step = 1) {
        float largest = 0;
        named([&] {
            const size_t pixels = spec_.side * spec_.side, labels = spec_.labels.size();
            for (size_t i = 0; i < spec_.samples; i += step) {
                const auto found = compute(&spec_.golden_faces[i * pixels], 1, "logits");
                const float* golden = &spec_.golden_logits[i * labels];
                for (size_t j = 0; j < labels; ++j)
                    largest = std::max(largest, std::abs(found[j] - golden[j]));
            }
            if (largest > (spec_.precision == "fp32" ? 1e-4F : 0.05F))
                throw Error("its logits differ from PyTorch's by up to " + std::to_string(largest));
        });
        return largest;
    }

  private:
    Floats compute(const uint8_t* faces, size_t count, const char* output) {
        auto values = count ? engine_(faces, count, output) : Floats();
        const auto is_finite = [](float value) { return std::isfinite(value); };
        if (values.size() != count * spec_.labels.size() ||
            !std::all_of(values.begin(), values.end(), is_finite))
            throw Error("its output has another shape than its spec says, or isn't finite");
        return values;
    }

    template <typename Function>
    auto named(Function function) -> decltype(function()) {
        try {
            return function();
        } catch (const std::exception& error) {
            std::string reason = error.what(); /* an engine's has several lines */
            std::replace(reason.begin(), reason.end(), '\n', ' ');
            throw Error(path_ + ": " + reason);
        }
    }

    std::string path_;
    Spec spec_;
    Engine engine_;
};
}  // namespace fer_edge

#ifdef FER_EDGE_C_INTERFACE
static thread_local char fer_last_error[1024];

static void fer_keep_error() noexcept {
    try {
        throw;
    } catch (const std::exception& error) {
        std::snprintf(fer_last_error, sizeof fer_last_error, "%s", error.what());
    } catch (...) {
        std::snprintf(fer_last_error, sizeof fer_last_error, "unknown failure");
    }
}
void* fer_open(const char* path, int threads, size_t* side) try {
    auto reader = std::make_unique<fer_edge::Reader>(path ? path : "(null)", threads);
    *side = reader->spec().side;
    return reader.release();
} catch (...) {
    return fer_keep_error(), nullptr;
}
void fer_close(void* reader) { delete static_cast<fer_edge::Reader*>(reader); }
const char* fer_label(const void* reader, size_t index) {
    const auto& labels = static_cast<const fer_edge::Reader*>(reader)->spec().labels;
    return index < labels.size() ? labels[index].c_str() : nullptr;
}
int fer_predict(void* reader, const uint8_t* faces, size_t count, float* probabilities) try {
    const auto found = static_cast<fer_edge::Reader*>(reader)->predict(faces, count);
    std::copy(found.begin(), found.end(), probabilities);
    return 0;
} catch (...) {
    return fer_keep_error(), 1;
}
const char* fer_error(void) { return fer_last_error; }
#endif
#endif
