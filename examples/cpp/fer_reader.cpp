/* fer_reader MODEL --self-test    compares the model's golden samples with PyTorch's logits
 * fer_reader MODEL FACE.pgm...    a line for each face: its name, its label, all probabilities
 * fer_reader MODEL -              the same for raw faces on standard input, one after the other */
#include "fer_edge.hpp"

#include <cstdio>
#include <iostream>

using fer_edge::Error;

/* The pixels of a binary PGM of `side` x `side` gray levels. */
fer_edge::Faces read_pgm(const std::string& path, size_t side) {
    std::ifstream file(path, std::ios::binary);
    std::string magic, comment;
    size_t width = 0, height = 0, white = 0;
    file >> magic;
    for (size_t* number : {&width, &height, &white}) {
        while (file >> std::ws && file.peek() == '#') std::getline(file, comment);
        file >> *number;
    }
    if (!file || magic != "P5" || white != 255)
        throw Error(path + ": can't be read as a binary PGM of 256 gray levels");
    if (width != side || height != side)
        throw Error(path + ": its face isn't of " + std::to_string(side) + " x " +
                    std::to_string(side) + " pixels: crop and resize it first");
    file.get(); /* one white space ends the header */
    fer_edge::Faces pixels(side * side);
    file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(side * side));
    if (!file) throw Error(path + ": cut off");
    return pixels;
}

void print(const std::string& name, const fer_edge::Floats& found, const fer_edge::Spec& spec) {
    const auto best = std::max_element(found.begin(), found.end()) - found.begin();
    std::cout << name << ' ' << spec.labels[static_cast<size_t>(best)];
    for (size_t i = 0; i < found.size(); ++i) std::cout << ' ' << spec.labels[i] << '=' << found[i];
    std::cout << std::endl; /* a line at once, for who reads along */
}

int main(int count, char** words) try {
    if (count < 3) {
        std::cerr << "usage: fer_reader MODEL --self-test | FACE.pgm... | -\n";
        return 2;
    }
    fer_edge::Reader reader(words[1]);
    const auto& spec = reader.spec();
    const std::string what = words[2];
    if (what == "--self-test") {
        const float largest = reader.compare_golden();
        std::cout << spec.name << ' ' << spec.version << ": " << spec.samples
                  << " golden samples, largest difference of a logit " << largest << '\n';
    } else if (what == "-") {
        fer_edge::Faces face(spec.side * spec.side);
        size_t bytes, number = 0;
        while ((bytes = std::fread(face.data(), 1, face.size(), stdin)) == face.size())
            print(std::to_string(number++), reader.predict(face.data(), 1), spec);
        if (bytes) throw Error("standard input: ends within face " + std::to_string(number));
    } else {
        for (int i = 2; i < count; ++i)
            print(words[i], reader.predict(read_pgm(words[i], spec.side).data(), 1), spec);
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
