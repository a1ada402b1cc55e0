// The C face of the Arcade Learning Environment, and what its 0.12.1 leaves out of a saved state.
//
// This file is compiled with -fno-access-control, because the omitted fields are private. ALE's own serialisation
// stays the core of a state; Extras appends, and restores after it, every field of the emulator that outlives a frame
// and that ALE forgets:
//   - the environment's held (sticky) actions, its screen and its copy of the RAM;
//   - the TIA's partial-frame flag, both frame buffers, the frame pointer and the mask pointers (as offsets);
//   - the last value on the data bus, the console's switches and the input events;
//   - the page tables of E0 cartridges (ALE restores the slice numbers, not the mapping);
//   - the fractional clock of DPC cartridges (ALE rounds it to eight digits);
//   - fields of seven games' settings (see game_extras).
// ALE's sound is off, so that it has no state; who listens reads the registers beside it (ale_shim_sound). Constants of a
// ROM are not saved: a state belongs to one ROM.
//
// SPDX-License-Identifier: GPL-2.0-only
#include "shim.h"

#include "checked.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "ale/ale_interface.hpp"
#include "ale/common/ColourPalette.hpp"
#include "ale/emucore/CartDPC.hxx"
#include "ale/emucore/CartE0.hxx"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/Event.hxx"
#include "ale/emucore/M6502.hxx"
#include "ale/emucore/MD5.hxx"
#include "ale/emucore/Switches.hxx"
#include "ale/emucore/System.hxx"
#include "ale/emucore/TIA.hxx"
#include "ale/emucore/TIASnd.hxx"
#include "ale/games/Roms.hpp"
#include "ale/games/supported/Atlantis2.hpp"
#include "ale/games/supported/ChopperCommand.hpp"
#include "ale/games/supported/DemonAttack.hpp"
#include "ale/games/supported/Hangman.hpp"
#include "ale/games/supported/MiniatureGolf.hpp"
#include "ale/games/supported/VideoCheckers.hpp"
#include "ale/games/supported/VideoCube.hpp"

using ale::ALEInterface;
using ale::stella::TIA;

struct ale_shim {
  ALEInterface ale;
  std::string state;
  ale::stella::TIASound voice;  // what is heard, and no part of a state
};

namespace {

constexpr int kSystemSeed = 4753849;  // ALE's default, and the one that every published result was played with
constexpr size_t kFrameBuffer = 160 * 300;  // as TIA's constructor allocates it

// Runs `body` and turns whatever it throws into a status and a message.
template <class Body>
int guarded(char* error, size_t error_len, Body body) {
  const char* message = "unknown C++ exception";
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    snprintf(error, error_len, "%s", e.what());
    return 1;
  } catch (const char* text) {
    message = text;
  } catch (...) {
  }
  snprintf(error, error_len, "%s", message);
  return 1;
}

// One visitor writes a state and reads it back, so that the two orders cannot drift apart.
class Archive {
 public:
  explicit Archive(std::string& out) : out_(&out) {}
  Archive(const char* data, size_t len) : data_(data), left_(len) {}

  bool writing() const { return out_ != nullptr; }

  void bytes(void* value, size_t len) {
    if (writing()) {
      out_->append(static_cast<const char*>(value), len);
    } else {
      if (len > left_) throw std::runtime_error("the state ends early");
      memcpy(value, data_, len);
      data_ += len;
      left_ -= len;
    }
  }

  // Any other byte is no bool to a compiler.
  void field(bool& value) {
    uint8_t byte = value;
    bytes(&byte, 1);
    if (byte > 1) throw std::runtime_error("the state holds a truth that is neither");
    value = byte != 0;
  }

  // A value of some range, which stays as it is where the state holds another.
  template <class T>
  void within(T& value, T least, T most) {
    T read = value;
    field(read);
    if (!(read >= least && read <= most)) throw std::runtime_error("the state holds a value out of range");
    value = read;
  }

  template <class T>
  void field(T& value) {
    static_assert(std::is_trivially_copyable<T>::value && !std::is_pointer<T>::value, "plain values only");
    bytes(&value, sizeof value);
  }

  void text(std::string& value) {
    uint64_t len = value.size();
    field(len);
    if (!writing()) {
      if (len > left_) throw std::runtime_error("the state ends early");
      value.resize(len);
    }
    bytes(&value[0], len);
  }

  void end() const {
    if (!writing() && left_ != 0) throw std::runtime_error("the state has bytes too many");
  }

 private:
  std::string* out_ = nullptr;
  const char* data_ = nullptr;
  size_t left_ = 0;
};

// A pointer into one of several static tables, as the number of the table and an offset.
struct Table {
  const void* begin;
  size_t bytes;
};

// A row of a mask has its pixels twice, so that a mask begins with any of the first 160 and has as many behind it.
constexpr size_t kMaskRow = 320;

template <class T, size_t N>
void table_pointer(Archive& archive, const T*& pointer, const Table (&tables)[N]) {
  uint32_t table = 0, offset = 0;
  if (archive.writing()) {
    const char* at = reinterpret_cast<const char*>(pointer);
    for (; table < N; ++table) {
      const char* begin = static_cast<const char*>(tables[table].begin);
      if (at >= begin && at < begin + tables[table].bytes) {
        offset = static_cast<uint32_t>(at - begin);
        break;
      }
    }
    if (table == N) throw std::runtime_error("a TIA mask points outside its tables");
  }
  archive.field(table);
  archive.field(offset);
  if (!archive.writing()) {
    const bool inside = table < N && offset < tables[table].bytes && offset % sizeof(T) == 0;
    const size_t place = offset / sizeof(T) % (sizeof(T) == 1 ? kMaskRow : checked::kWidth);
    if (!inside || place > (sizeof(T) == 1 ? kMaskRow - checked::kWidth : 0))
      throw std::runtime_error("the state holds a TIA mask outside its tables");
    pointer = reinterpret_cast<const T*>(static_cast<const char*>(tables[table].begin) + offset);
  }
}

template <class T>
Table table_of(const T& array) {
  return {&array, sizeof array};
}

// Pixels of the frame under way that are drawn: what is behind the frame pointer.
int64_t drawn_of(const TIA& tia) { return checked::pixels(tia.myClockAtLastUpdate - tia.myClockStartDisplay); }

// Puts the frame pointer where the clocks say, which ALE restores by themselves and which were checked. It does so where
// a state is refused half-way too: whoever plays on from there draws into the frame and not behind it.
class FramePointer {
 public:
  explicit FramePointer(TIA& tia) : tia_(tia) {}
  FramePointer(const FramePointer&) = delete;
  FramePointer& operator=(const FramePointer&) = delete;
  ~FramePointer() { tia_.myFramePointer = tia_.myCurrentFrameBuffer + drawn_of(tia_); }

 private:
  TIA& tia_;
};

void tia_extras(Archive& archive, TIA& tia) {
  archive.field(tia.myPartialFrameFlag);
  archive.field(tia.myFrameGreyed);
  archive.field(tia.myFrameCounter);
  archive.bytes(tia.myCurrentFrameBuffer, kFrameBuffer);
  archive.bytes(tia.myPreviousFrameBuffer, kFrameBuffer);

  // What is saved must say of the frame pointer what the clocks say.
  const int64_t drawn = drawn_of(tia);
  int64_t offset = archive.writing() ? tia.myFramePointer - tia.myCurrentFrameBuffer : drawn;
  archive.within(offset, drawn, drawn);

  const Table ball[] = {table_of(TIA::ourBallMaskTable), table_of(TIA::ourDisabledMaskTable)};
  const Table missile[] = {table_of(TIA::ourMissleMaskTable), table_of(TIA::ourDisabledMaskTable)};
  const Table player[] = {table_of(TIA::ourPlayerMaskTable), table_of(TIA::ourDisabledMaskTable)};
  const Table field[] = {table_of(TIA::ourPlayfieldTable)};
  table_pointer(archive, tia.myCurrentBLMask, ball);
  table_pointer(archive, tia.myCurrentM0Mask, missile);
  table_pointer(archive, tia.myCurrentM1Mask, missile);
  table_pointer(archive, tia.myCurrentP0Mask, player);
  table_pointer(archive, tia.myCurrentP1Mask, player);
  table_pointer(archive, tia.myCurrentPFMask, field);

  for (uint8_t* audio : {&tia.myAUDV0, &tia.myAUDV1, &tia.myAUDC0, &tia.myAUDC1, &tia.myAUDF0, &tia.myAUDF1})
    archive.field(*audio);
}

void cartridge_extras(Archive& archive, ale::stella::System& system) {
  for (uint32_t i = 0; i < system.myNumberOfDevices; ++i) {
    ale::stella::Device* device = system.myDevices[i];
    if (auto* dpc = dynamic_cast<ale::stella::CartridgeDPC*>(device)) {
      archive.within(dpc->myFractionalClocks, 0.0, 1.0);
    } else if (auto* e0 = dynamic_cast<ale::stella::CartridgeE0*>(device)) {
      if (archive.writing()) continue;
      const uint16_t* slice = e0->myCurrentSlice;  // the fourth is fixed
      e0->segmentZero(slice[0]);
      e0->segmentOne(slice[1]);
      e0->segmentTwo(slice[2]);
    }
  }
}

// What seven games keep and do not serialise whole.
void game_extras(Archive& archive, ale::RomSettings& game) {
  if (auto* g = dynamic_cast<ale::Atlantis2Settings*>(&game)) archive.field(g->m_lives);
  if (auto* g = dynamic_cast<ale::ChopperCommandSettings*>(&game)) archive.field(g->m_is_started);
  if (auto* g = dynamic_cast<ale::DemonAttackSettings*>(&game)) archive.field(g->m_level_change);
  if (auto* g = dynamic_cast<ale::HangmanSettings*>(&game)) archive.field(g->m_timerArray);
  if (auto* g = dynamic_cast<ale::MiniatureGolfSettings*>(&game)) {  // saved as bools, read as numbers
    for (int* field : {&g->m_levelNumber, &g->m_levelPar, &g->m_hits, &g->m_leftStatus, &g->m_hitsAtStartOfLevel})
      archive.field(*field);
  }
  if (auto* g = dynamic_cast<ale::VideoCheckersSettings*>(&game)) archive.field(g->m_reverse_checkers);
  if (auto* g = dynamic_cast<ale::VideoCubeSettings*>(&game)) archive.field(g->m_timerArray);
}

void extras(Archive& archive, ALEInterface& ale) {
  ale::StellaEnvironment& env = *ale.environment;
  ale::stella::Console& console = ale.theOSystem->console();
  ale::stella::System& system = console.system();
  ale::stella::Event& event = *ale.theOSystem->event();

  // Of an action that does not exist ALE ends the process.
  archive.within(env.m_player_a_action, ale::PLAYER_A_NOOP, ale::PLAYER_A_DOWNLEFTFIRE);
  archive.within(env.m_player_b_action, ale::PLAYER_B_NOOP, ale::PLAYER_B_DOWNLEFTFIRE);
  archive.within(env.m_paddle_a_strength, -1.0f, 1.0f);
  archive.within(env.m_paddle_b_strength, -1.0f, 1.0f);
  archive.bytes(env.m_screen.getArray(), env.m_screen.arraySize());
  archive.field(env.m_ram.m_ram);
  archive.field(event.myValues);
  archive.field(console.switches().mySwitches);
  archive.field(system.myM6502->myLastAccessWasRead);
  archive.field(system.myDataBusLocked);
  tia_extras(archive, system.tia());
  cartridge_extras(archive, system);
  game_extras(archive, *ale.romSettings);
  archive.field(system.myDataBusState);  // last: restoring a cartridge may peek
}

template <class Values, class T>
size_t copy_values(const Values& values, T* out, size_t capacity) {
  size_t n = 0;
  for (auto value : values) {
    if (n < capacity) out[n] = static_cast<T>(value);
    ++n;
  }
  return n;
}

}  // namespace

extern "C" {

const char* ale_shim_identify(const uint8_t* rom, size_t len, char* md5) {
  try {
    const std::string hash = ale::stella::MD5(rom, len);
    snprintf(md5, 33, "%s", hash.c_str());
    const std::unique_ptr<ale::RomSettings> game(ale::buildRomRLWrapper("", hash));
    return game && game->md5() == hash ? game->rom() : nullptr;  // a literal: it outlives `game`
  } catch (...) {
    md5[0] = 0;
    return nullptr;
  }
}

ale_shim* ale_shim_new(const char* path, float sticky, uint32_t seed, char* error, size_t error_len) {
  static std::mutex one_at_a_time;  // construction touches ALE's static tables
  std::unique_ptr<ale_shim> shim;
  const int status = guarded(error, error_len, [&] {
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    // Once: consoles in other threads read it, and hold no lock.
    static const bool quiet = (ale::Logger::setMode(ale::Logger::Error), true);
    static_cast<void>(quiet);
    shim = std::make_unique<ale_shim>();
    ALEInterface& ale = shim->ale;
    ale.setFloat("repeat_action_probability", sticky);
    const bool clock = seed == UINT32_MAX;  // ALE takes -1 for "by the clock"
    ale.setInt("random_seed", clock ? 0 : static_cast<int>(seed));
    ale.setInt("system_random_seed", kSystemSeed);
    ale.setInt("frame_skip", 1);
    ale.setInt("max_num_frames_per_episode", 0);
    ale.setBool("color_averaging", false);
    ale.setBool("sound_obs", false);
    ale.setBool("display_screen", false);
    ale.setBool("truncate_on_loss_of_life", false);
    ale.loadROM(path);
    ale.environment->m_paddle_a_strength = ale.environment->m_paddle_b_strength = 1.0f;  // else uninitialised
    if (clock) ale.environment->m_random.seed(seed);
  });
  return status == 0 ? shim.release() : nullptr;
}

void ale_shim_free(ale_shim* ale) noexcept { delete ale; }

int ale_shim_act(ale_shim* ale, int32_t action, int32_t* reward, char* error, size_t error_len) {
  return guarded(error, error_len, [&] {
    if (action < ale::PLAYER_A_NOOP || action >= ale::PLAYER_B_NOOP)
      throw std::runtime_error("action " + std::to_string(action) + " is not one of 0 to 17");  // ALE would exit
    *reward = ale->ale.act(static_cast<ale::Action>(action));
  });
}

int ale_shim_reset(ale_shim* ale, char* error, size_t error_len) {
  return guarded(error, error_len, [&] { ale->ale.reset_game(); });
}

int ale_shim_set_mode(ale_shim* ale, uint32_t mode, char* error, size_t error_len) {
  return guarded(error, error_len, [&] { ale->ale.setMode(mode); });
}

int ale_shim_set_difficulty(ale_shim* ale, uint32_t difficulty, char* error, size_t error_len) {
  return guarded(error, error_len, [&] { ale->ale.setDifficulty(difficulty); });
}

void ale_shim_seed(ale_shim* ale, uint32_t seed) noexcept { ale->ale.environment->m_random.seed(seed); }

int32_t ale_shim_lives(const ale_shim* ale) noexcept { return ale->ale.romSettings->lives(); }

int32_t ale_shim_game_over(const ale_shim* ale) noexcept { return ale->ale.game_over(false); }

uint32_t ale_shim_episode_frame(const ale_shim* ale) noexcept {
  return static_cast<uint32_t>(ale->ale.getEpisodeFrameNumber());
}

const uint8_t* ale_shim_screen(const ale_shim* ale, size_t* height, size_t* width) noexcept {
  const ale::ALEScreen& screen = ale->ale.getScreen();
  *height = screen.height();
  *width = screen.width();
  return screen.getArray();
}

const uint8_t* ale_shim_ram(const ale_shim* ale) noexcept { return ale->ale.getRAM().array(); }

void ale_shim_set_ram(ale_shim* ale, size_t at, uint8_t value) noexcept { ale->ale.environment->setRAM(at, value); }

void ale_shim_palette(const ale_shim* ale, uint32_t rgb[256], uint8_t gray[256]) noexcept {
  const uint32_t* palette = ale->ale.theOSystem->colourPalette().m_palette;
  for (int i = 0; i < 256; ++i) {
    rgb[i] = palette[i] & 0xffffff;
    // ALE keeps a colour's luminance in the odd entry after it. Colour 255, which PAL games show, has none: ALE reads
    // past the end, and finds the black that begins the next palette.
    gray[i] = i < 255 ? palette[i + 1] & 0xff : 0;
  }
}

// ALE's SoundRaw takes the registers over as they are at the end of a frame, and so does this: the samples are the same,
// and nothing of the emulator is written.
void ale_shim_sound(ale_shim* ale, uint8_t* samples, size_t len) noexcept {
  const TIA& tia = ale->ale.theOSystem->console().system().tia();
  uint16_t address = 0x15;  // AUDC0, the first of six
  for (uint8_t value : {tia.myAUDC0, tia.myAUDC1, tia.myAUDF0, tia.myAUDF1, tia.myAUDV0, tia.myAUDV1})
    ale->voice.set(address++, value);
  ale->voice.process(samples, static_cast<uint32_t>(len));
}

size_t ale_shim_minimal_actions(const ale_shim* ale, int32_t* out, size_t capacity) noexcept {
  return copy_values(ale->ale.getMinimalActionSet(), out, capacity);
}

size_t ale_shim_legal_actions(const ale_shim* ale, int32_t* out, size_t capacity) noexcept {
  return copy_values(ale->ale.getLegalActionSet(), out, capacity);
}

size_t ale_shim_modes(const ale_shim* ale, uint32_t* out, size_t capacity) noexcept {
  return copy_values(ale->ale.getAvailableModes(), out, capacity);
}

size_t ale_shim_difficulties(const ale_shim* ale, uint32_t* out, size_t capacity) noexcept {
  return copy_values(ale->ale.getAvailableDifficulties(), out, capacity);
}

int ale_shim_save(ale_shim* ale, const uint8_t** data, size_t* len, char* error, size_t error_len) {
  return guarded(error, error_len, [&] {
    ale->state.clear();
    Archive archive(ale->state);
    std::string core = ale->ale.cloneState(true).serialize();
    archive.text(core);
    extras(archive, ale->ale);
    *data = reinterpret_cast<const uint8_t*>(ale->state.data());
    *len = ale->state.size();
  });
}

int ale_shim_load(ale_shim* ale, const uint8_t* data, size_t len, char* error, size_t error_len) {
  return guarded(error, error_len, [&] {
    Archive archive(reinterpret_cast<const char*>(data), len);
    std::string core;
    archive.text(core);
    ale::stella::System& system = ale->ale.theOSystem->console().system();
    checked::core(core, ale->ale.environment->m_cartridge_md5, system);
    const FramePointer follows(system.tia());
    ale->ale.restoreState(ale::ALEState(core));
    extras(archive, ale->ale);
    archive.end();
    // ALE ignores what its readers make of a text that is no generator, cuts numbers to the size of a register, and skips
    // what follows an error: of such a state something else comes out again.
    if (ale->ale.cloneState(true).serialize() != core) checked::refuse("values are not those of a console");
    ale->voice = ale::stella::TIASound();  // what follows sounds as if nothing had been before
  });
}

}  // extern "C"
