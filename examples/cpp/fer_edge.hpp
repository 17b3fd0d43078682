/* Read facial expressions with an exported model of fer-edge: copy this file into your program.
 *
 * C++17 and nlohmann/json. Define FER_EDGE_OPENVINO (.onnx and .xml), FER_EDGE_NCNN (.ncnn.param)
 * or both. One C++ file that defines FER_EDGE_C_INTERFACE gives the five functions to C. */
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

using Faces = std::vector<uint8_t>;
using Floats = std::vector<float>;

/* What a model's file says of itself; `golden_*` are samples with PyTorch's logits. */
struct Spec {
    std::string name, version, precision;
    std::vector<std::string> labels;
    size_t side = 0;
    double temperature = 1;
    bool packing = true, winograd = true; /* of ncnn */
    Faces golden_faces;                   /* [N, side, side] */
    Floats golden_logits;                 /* [N, labels] */
};

inline Faces decode_base64(const std::string& text) {
    static const std::string digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Faces bytes;
    unsigned bits = 0, count = 0;
    for (char letter : text) {
        const size_t digit = digits.find(letter);
        if (digit == std::string::npos) break; /* the "=" at the end */
        bits = bits << 6 | static_cast<unsigned>(digit);
        if ((count += 6) >= 8) bytes.push_back(static_cast<uint8_t>(bits >> (count -= 8)));
    }
    return bytes;
}

inline Spec parse_spec(const std::string& text) {
    const auto document = nlohmann::json::parse(text);
    Spec spec;
    document.at("name").get_to(spec.name);
    document.at("version").get_to(spec.version);
    document.at("labels").get_to(spec.labels);
    document.at("input").at("side").get_to(spec.side);
    document.at("temperature").get_to(spec.temperature);
    document.at("quantization").at("precision").get_to(spec.precision);
    if (const auto ncnn = document.find("ncnn"); ncnn != document.end() && ncnn->is_object()) {
        ncnn->at("packing").get_to(spec.packing);
        ncnn->at("winograd").get_to(spec.winograd);
    }
    for (const auto& sample : document.at("golden")) {
        const auto face = decode_base64(sample.at("face").get<std::string>());
        const auto logits = sample.at("logits").get<Floats>();
        if (face.size() != spec.side * spec.side || logits.size() != spec.labels.size())
            throw std::runtime_error("a golden sample has another shape");
        spec.golden_faces.insert(spec.golden_faces.end(), face.begin(), face.end());
        spec.golden_logits.insert(spec.golden_logits.end(), logits.begin(), logits.end());
    }
    if (spec.labels.empty() || !spec.side || !(spec.temperature > 0) || spec.golden_logits.empty())
        throw std::runtime_error("labels, side, temperature or golden samples are missing");
    return spec;
}

/* Computes logits [count, labels] of faces [count, side, side]; for one thread at a time. */
using Engine = std::function<Floats(const uint8_t* faces, size_t count)>;

#ifdef FER_EDGE_OPENVINO
/* OpenVINO would fuse an int8 model's residual sums into a convolution and round once, where the
 * model rounds twice. A 1 x 1 pool changes no value and prevents that. */
inline void keep_sums_apart(ov::Model& model) {
    const auto is = [](const ov::Node* node, const std::string& type) {
        return node->get_type_name() == type;
    };
    for (const auto& node : model.get_ordered_ops()) {
        if (!is(node.get(), "Add")) continue;
        for (auto place : node->inputs()) {
            const auto term = place.get_source_output(); /* a dequantized tensor of this sum alone? */
            if (!is(term.get_node(), "Multiply") || term.get_target_inputs().size() != 1) continue;
            const auto* source = term.get_node()->get_input_node_ptr(0);
            if (is(source, "Subtract")) source = source->get_input_node_ptr(0);
            if (!is(source, "Convert") || term.get_partial_shape().size() != 4) continue;
            place.replace_source_output(std::make_shared<ov::opset1::MaxPool>(
                term, ov::Strides{1, 1}, ov::Shape{0, 0}, ov::Shape{0, 0}, ov::Shape{1, 1}));
        }
    }
}

inline Engine open_openvino(const std::string& path, int threads, Spec& spec) {
    ov::Core core;
    const auto model = core.read_model(path);
    spec = parse_spec(model->has_rt_info("fer_edge")
                          ? model->get_rt_info<std::string>("fer_edge")
                          : model->get_rt_info<std::string>("framework", "fer_edge"));
    keep_sums_apart(*model);
    auto compiled = core.compile_model(model, "CPU", ov::inference_num_threads(threads),
                                       ov::hint::inference_precision(ov::element::f32));
    return [request = compiled.create_infer_request(), side = spec.side](
               const uint8_t* faces, size_t count) mutable {
        ov::Tensor input(ov::element::u8, {count, side, side});
        std::copy_n(faces, input.get_size(), input.data<uint8_t>());
        request.set_tensor("faces", input);
        request.infer();
        const auto output = request.get_tensor("logits");
        return Floats(output.data<float>(), output.data<float>() + output.get_size());
    };
}
#endif

#ifdef FER_EDGE_NCNN
inline Engine open_ncnn(const std::string& path, int threads, Spec& spec) {
    const auto stem = path.substr(0, path.rfind('.'));
    std::ifstream file(stem + ".json");
    spec = parse_spec({std::istreambuf_iterator<char>(file), {}});
    const auto net = std::make_shared<ncnn::Net>();
    auto& option = net->opt;
    option.use_vulkan_compute = option.use_bf16_storage = false;
    option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = false;
    option.use_packing_layout = spec.packing;
    option.use_winograd_convolution = spec.winograd;
    option.num_threads = threads;
    if (net->load_param(path.c_str()) || net->load_model((stem + ".bin").c_str()))
        throw std::runtime_error("ncnn can't load it or its .bin");
    return [net, side = static_cast<int>(spec.side)](const uint8_t* faces, size_t count) {
        Floats result;
        for (size_t i = 0; i < count; ++i, faces += side * side) {
            auto extractor = net->create_extractor();
            ncnn::Mat output;
            if (extractor.input("faces", ncnn::Mat::from_pixels(faces, ncnn::Mat::PIXEL_GRAY, side, side)) ||
                extractor.extract("logits", output))
                throw std::runtime_error("ncnn can't compute it");
            result.insert(result.end(), &output[0], &output[0] + output.w);
        }
        return result;
    };
}
#endif

using Open = Engine (*)(const std::string& path, int threads, Spec& spec);
static const std::map<std::string, Open> engines = {
#ifdef FER_EDGE_OPENVINO
    {".onnx", open_openvino}, {".xml", open_openvino},
#endif
#ifdef FER_EDGE_NCNN
    {".param", open_ncnn},
#endif
};

/* A model that predicted its first golden sample, a black face, as PyTorch does.
 * Every function throws std::runtime_error, which names the file. */
class Reader {
  public:
    explicit Reader(const std::string& path, int threads = 1) : path_(path) {
        named([&] {
            const auto engine = engines.find(path.substr(std::min(path.rfind('.'), path.size())));
            if (engine == engines.end()) throw std::runtime_error("no engine here reads such a file");
            if (!std::ifstream(path)) throw std::runtime_error("can't be read");
            engine_ = engine->second(path, threads, spec_);
            return check(1);
        });
    }

    const Spec& spec() const { return spec_; }

    /* Probabilities [count, labels] of gray faces [count, side, side]. */
    Floats predict(const uint8_t* faces, size_t count) {
        return named([&] {
            auto values = logits(faces, count);
            const auto labels = static_cast<std::ptrdiff_t>(spec_.labels.size());
            for (auto row = values.begin(); row != values.end(); row += labels) {
                const float largest = *std::max_element(row, row + labels);
                double sum = 0;
                for (auto one = row; one != row + labels; ++one)
                    sum += *one = std::exp((*one - largest) / static_cast<float>(spec_.temperature));
                for (auto one = row; one != row + labels; ++one) *one /= static_cast<float>(sum);
            }
            return values;
        });
    }

    /* The largest difference from PyTorch's logits over all golden samples. */
    float self_test() {
        return named([&] { return check(spec_.golden_logits.size() / spec_.labels.size()); });
    }

  private:
    Floats logits(const uint8_t* faces, size_t count) {
        auto values = count ? engine_(faces, count) : Floats();
        const auto is_number = [](float value) { return std::isfinite(value); };
        if (values.size() != count * spec_.labels.size() ||
            !std::all_of(values.begin(), values.end(), is_number))
            throw std::runtime_error("gives logits of another shape, or that aren't numbers");
        return values;
    }

    float check(size_t samples) {
        const auto found = logits(spec_.golden_faces.data(), samples);
        float largest = 0;
        for (size_t i = 0; i < found.size(); ++i)
            largest = std::max(largest, std::abs(found[i] - spec_.golden_logits[i]));
        if (largest > (spec_.precision == "fp32" ? 1e-4F : 0.05F))
            throw std::runtime_error("its logits differ from PyTorch's by " + std::to_string(largest));
        return largest;
    }

    template <typename Function>
    auto named(Function function) -> decltype(function()) {
        try {
            return function();
        } catch (const std::exception& error) {
            const std::string reason = error.what();
            throw std::runtime_error(path_ + ": " + reason.substr(0, reason.find_last_not_of('\n') + 1));
        }
    }

    std::string path_;
    Spec spec_;
    Engine engine_;
};

}  // namespace fer_edge
#ifdef FER_EDGE_C_INTERFACE
namespace fer_edge {
inline thread_local std::string last_error;

template <typename Function, typename Result>
Result guard(Function function, Result failed) noexcept {
    try {
        return function();
    } catch (const std::exception& error) {
        last_error = error.what();
    } catch (...) {
        last_error = "unknown failure";
    }
    return failed;
}
}  // namespace fer_edge

void* fer_open(const char* path, int threads, size_t* side) {
    return fer_edge::guard(
        [&]() -> void* {
            auto reader = std::make_unique<fer_edge::Reader>(path, threads);
            *side = reader->spec().side;
            return reader.release();
        },
        static_cast<void*>(nullptr));
}
void fer_close(void* reader) { delete static_cast<fer_edge::Reader*>(reader); }
const char* fer_label(const void* reader, size_t index) {
    const auto& labels = static_cast<const fer_edge::Reader*>(reader)->spec().labels;
    return index < labels.size() ? labels[index].c_str() : nullptr;
}
int fer_predict(void* reader, const uint8_t* faces, size_t count, float* probabilities) {
    return fer_edge::guard(
        [&] {
            const auto found = static_cast<fer_edge::Reader*>(reader)->predict(faces, count);
            std::copy(found.begin(), found.end(), probabilities);
            return 0;
        },
        1);
}
const char* fer_error(void) { return fer_edge::last_error.c_str(); }
#endif
#endif
