// What a saved state may hold. ALE trusts what it reads: a count runs over the end of an array, a bank or a position is an
// index, a clock draws beyond a frame. So ALE's part of a state is walked first, in the order in which its devices read it,
// and only one that fits is restored: what a stranger hands over may be refused and does no more. What the walk does not
// know, such as the settings of a game, is compared after it (ale_shim_load).
//
// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "ale/ale_interface.hpp"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/Deserializer.hxx"
#include "ale/emucore/Device.hxx"
#include "ale/emucore/M6502.hxx"
#include "ale/emucore/System.hxx"

namespace checked {

constexpr int kLine = 228;        // colour clocks of a line of the screen
constexpr int kBlank = 68;        // of those, the ones that draw nothing
constexpr int kWidth = 160;       // pixels of a line
constexpr int kMostLines = 298;   // of a frame: the buffer has room for 300
constexpr int kMostClock = 1 << 28;  // a frame has some 60,000, and every frame counts anew
constexpr int kMostFrames = 1 << 30;  // half a year of play, and as many again before the count is full

[[noreturn]] inline void refuse(const std::string& what) { throw std::runtime_error("the state's " + what); }

// Reads what ALE's Serializer wrote.
class Walk {
 public:
  explicit Walk(const std::string& bytes) : at_(bytes.data()), left_(bytes.size()) {}

  int32_t number() {
    unsigned char bytes[4];
    if (left_ < sizeof bytes) refuse("end comes early");
    memcpy(bytes, at_, sizeof bytes);
    advance(sizeof bytes);
    return static_cast<int32_t>(bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24);
  }

  int32_t number(int32_t least, int32_t most, const char* what) {
    const int32_t value = number();
    if (value < least || value > most) refuse(what + (" is " + std::to_string(value)));
    return value;
  }

  void skip(int numbers) {
    while (numbers-- > 0) number();
  }

  // ALE's devices swallow what their reader throws at other values, and leave the rest of a state out.
  void truths(int count) {
    using ale::stella::Deserializer;
    while (count-- > 0) {
      const int32_t value = number();
      const auto bits = static_cast<uint32_t>(value);
      if (bits != Deserializer::TruePattern && bits != Deserializer::FalsePattern)
        refuse("truth is " + std::to_string(value));
    }
  }

  std::string text() {
    const size_t len = static_cast<uint32_t>(number());
    if (len > left_) refuse("end comes early");
    const std::string text(at_, len);
    advance(len);
    return text;
  }

  void text(const std::string& expected) {
    if (text() != expected) refuse("order of parts is not this console's");
  }

  // An array of exactly so many numbers.
  void array(int len, int32_t least, int32_t most, const char* what) {
    number(len, len, "length of an array");
    while (len-- > 0) number(least, most, what);
  }

  void end() const {
    if (left_ != 0) refuse("end comes late");
  }

 private:
  void advance(size_t len) {
    at_ += len;
    left_ -= len;
  }

  const char* at_;
  size_t left_;
};

constexpr int32_t kAny = INT32_MAX;

// A cartridge's state: the bank that it shows, where it has several, then arrays.
struct Cartridge {
  const char* name;
  int banks;
  std::vector<int> arrays;
};

inline void cartridge(Walk& walk, const std::string& name) {
  static const Cartridge plain[] = {
      {"Cartridge2K", 0, {}},       {"Cartridge4K", 0, {}},       {"CartridgeFE", 0, {}},
      {"CartridgeCV", 0, {1024}},   {"CartridgeUA", 2, {}},       {"CartridgeF8", 2, {}},
      {"CartridgeF8SC", 2, {128}},  {"CartridgeFASC", 3, {256}},  {"CartridgeF6", 4, {}},
      {"CartridgeF6SC", 4, {128}},  {"CartridgeF4", 8, {}},       {"CartridgeF4SC", 8, {128}},
      {"Cartridge3F", 1 << 16, {}}, {"CartridgeMB", 1 << 16, {}},  // these two bring any number into their range
  };
  for (const Cartridge& known : plain) {
    if (name != known.name) continue;
    if (known.banks > 0) walk.number(0, known.banks - 1, "bank");
    for (int len : known.arrays) walk.array(len, -kAny, kAny, "memory");
    return;
  }
  if (name == "CartridgeE0") {
    walk.array(4, 0, 7, "slice");
  } else if (name == "CartridgeE7") {
    walk.array(2, 0, 7, "slice");
    walk.number(0, 3, "bank of memory");
    walk.array(2048, -kAny, kAny, "memory");
  } else if (name == "CartridgeDPC") {
    walk.number(0, 1, "bank");
    walk.array(8, 0, 255, "top");
    walk.array(8, 0, 255, "bottom");
    walk.array(8, 0, 0x7ff, "counter");
    walk.array(8, 0, 255, "flag");
    walk.number(3, 3, "length of an array");
    walk.truths(3);   // music modes
    walk.skip(1 + 2);  // random number, clocks
  } else {
    refuse("cartridge, a " + name + ", has no list of what it may hold");
  }
}

// Pixels that are drawn of a frame so many clocks after its first line began.
inline int64_t pixels(int64_t clocks) {
  return clocks / kLine * kWidth + std::max<int64_t>(0, clocks % kLine - kBlank);
}

inline void tia(Walk& walk, int32_t now) {
  walk.number(-kLine, now, "frame's first clock");
  const int32_t start = walk.number(-kMostClock, kMostClock, "first clock of a picture");
  const int32_t stop = walk.number(start, start + kLine * kMostLines, "last clock of a picture");
  const int32_t last = walk.number(start, stop, "clock of the last pixel");
  // Nothing is left of a line that ends with the last pixel, until the next one begins.
  const int32_t drawn = (last - start) % kLine, rest = walk.number(0, kLine, "rest of a line");
  if (rest != kLine - drawn && !(rest == 0 && drawn == 0 && last > start)) refuse("rest of a line is not that of its clocks");
  walk.skip(2 + 1 + 1 + 4 + 4 + 1);  // counts of lines to the enabled objects, registers to CTRLPF
  const int32_t priority = walk.number();
  if ((priority & ~0xc0) != 0) refuse("priority of the playfield is " + std::to_string(priority));
  walk.truths(2);     // reflections
  walk.skip(1 + 4);   // playfield, graphics
  walk.truths(4);     // what is enabled
  for (int i = 0; i < 5; ++i) walk.number(0, 15, "motion");
  walk.truths(5);  // delays and resets
  walk.skip(1);    // collisions
  for (int i = 0; i < 5; ++i) walk.number(0, kWidth - 1, "position");
  walk.skip(2 + 1);  // graphics, clock of HMOVE
  walk.truths(2);    // its blanks, the motion of a missile
  walk.number(0, 3, "counter of a missile");
  walk.truths(1);  // the dump of paddles
  walk.skip(1);
  walk.text("TIASound");
  walk.skip(7);
}

// Walks ALE's part of a state of this console; throws where it does not fit.
inline void core(const std::string& core, const std::string& md5, ale::stella::System& system) {
  Walk outer(core);
  outer.skip(2);  // paddles
  for (int i = 0; i < 2; ++i) outer.number(0, kMostFrames, "count of frames");
  outer.skip(2);  // mode, difficulty
  const std::string inner = outer.text();
  outer.skip(2);
  outer.end();

  Walk walk(inner);
  walk.text(md5);
  walk.text("System");
  const int32_t now = 3 * walk.number(0, kMostClock / 3, "clock");
  walk.text();  // a random generator
  const std::string processor = system.myM6502->name();
  walk.text(processor);
  walk.skip(6);    // registers
  walk.truths(7);  // flags
  walk.skip(processor == "M6502High" ? 3 : 1);
  for (uint32_t i = 0; i < system.myNumberOfDevices; ++i) {
    const std::string name = system.myDevices[i]->name();
    walk.text(name);
    if (name == "M6532") {
      walk.array(128, -kAny, kAny, "memory");
      walk.skip(1);
      walk.number(0, 10, "interval of the timer");
      walk.skip(2);
      walk.truths(1);  // whether the timer was read
      walk.skip(2);
    } else if (name == "TIA") {
      tia(walk, now);
    } else {
      cartridge(walk, name);
    }
  }
  // What follows are the numbers of a game's settings and one more generator: nothing that is an index or a length.
}

}  // namespace checked
