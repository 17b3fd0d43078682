/* fer_reader MODEL --self-test     compares the model's golden samples with PyTorch's logits
 * fer_reader MODEL FACE.pgm...     a line for each face: file, label, probability
 * fer_reader MODEL -               faces as raw bytes on standard input, one after the other: a line
 *                                  for each, the label and all probabilities */
#include <cstdio>
#include <iostream>

#include "fer_edge.hpp"

using fer_edge::Faces;

/* The pixels of a binary PGM of `side` x `side` gray levels. */
Faces read_pgm(const std::string& path, size_t side) {
    std::ifstream file(path, std::ios::binary);
    const auto number = [&] {
        while (file >> std::ws && file.peek() == '#') file.ignore(1 << 16, '\n');
        size_t value = 0;
        file >> value;
        return value;
    };
    std::string magic;
    file >> magic;
    const size_t width = number(), height = number(), levels = number();
    if (!file || magic != "P5" || levels != 255)
        throw std::runtime_error(path + ": can't be read as a binary PGM of 256 gray levels");
    if (width != side || height != side)
        throw std::runtime_error(path + ": " + std::to_string(width) + " x " + std::to_string(height) +
                                 " pixels, the model takes " + std::to_string(side) + " x " +
                                 std::to_string(side) + ": crop and resize it first");
    file.get(); /* one white space ends the header */
    Faces pixels(side * side);
    if (!file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(side * side)))
        throw std::runtime_error(path + ": cut off");
    return pixels;
}

size_t best(const float* probabilities, size_t labels) {
    return static_cast<size_t>(std::max_element(probabilities, probabilities + labels) - probabilities);
}

void read_stream(fer_edge::Reader& reader) {
    const auto& labels = reader.spec().labels;
    const size_t face = reader.spec().side * reader.spec().side;
    Faces pixels(64 * face);
    for (size_t bytes = pixels.size(); bytes == pixels.size();) {
        bytes = std::fread(pixels.data(), 1, pixels.size(), stdin);
        if (bytes % face) throw std::runtime_error("standard input: ends within a face");
        const auto found = reader.predict(pixels.data(), bytes / face);
        for (size_t i = 0; i < found.size(); i += labels.size()) {
            std::printf("%s", labels[best(&found[i], labels.size())].c_str());
            for (size_t j = 0; j < labels.size(); ++j)
                std::printf(" %.9g", static_cast<double>(found[i + j]));
            std::printf("\n");
        }
    }
}

int main(int count, char** words) try {
    if (count < 3) {
        std::cerr << "usage: fer_reader MODEL --self-test | - | FACE.pgm...\n";
        return 2;
    }
    fer_edge::Reader reader(words[1]);
    const auto& labels = reader.spec().labels;
    const std::string what = words[2];
    if (what == "--self-test") {
        const float largest = reader.self_test();
        std::printf("%s %s: %zu golden samples, largest difference of a logit %.2g\n",
                    reader.spec().name.c_str(), reader.spec().version.c_str(),
                    reader.spec().golden_logits.size() / labels.size(), static_cast<double>(largest));
    } else if (what == "-") {
        read_stream(reader);
    } else {
        for (int i = 2; i < count; ++i) {
            const auto found = reader.predict(read_pgm(words[i], reader.spec().side).data(), 1);
            const size_t label = best(found.data(), labels.size());
            std::printf("%s  %s %.3f\n", words[i], labels[label].c_str(), static_cast<double>(found[label]));
        }
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
