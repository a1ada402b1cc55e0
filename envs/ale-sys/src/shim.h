/* The C face of the Arcade Learning Environment: what src/bindings.rs declares, src/shim.cpp defines.
 *
 * No exception and no call of exit() leaves these functions: those that can fail return 0 for success, or 1 and a
 * message of at most `error_len` bytes, nul included. The screen and the memory stay in their place while the handle lives,
 * and change only in act, reset, load and set_ram; a saved state stays until the next save. A handle may move between
 * threads and is used by one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-only */
#ifndef RL_ALE_SHIM_H
#define RL_ALE_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define RL_NOEXCEPT noexcept
extern "C" {
#else
#define RL_NOEXCEPT
#endif

typedef struct ale_shim ale_shim;

/* 32 hexadecimal digits and a nul into `md5`; the name of the supported game with that hash, or NULL. */
const char *ale_shim_identify(const uint8_t *rom, size_t len, char *md5);

/* Loads from `path` a ROM that ale_shim_identify knows: ALE exits the process on any other. NULL on failure. */
ale_shim *ale_shim_new(const char *path, float sticky, uint32_t seed, char *error, size_t error_len);
void ale_shim_free(ale_shim *ale) RL_NOEXCEPT;

int ale_shim_act(ale_shim *ale, int32_t action, int32_t *reward, char *error, size_t error_len);
int ale_shim_reset(ale_shim *ale, char *error, size_t error_len);
int ale_shim_set_mode(ale_shim *ale, uint32_t mode, char *error, size_t error_len);
int ale_shim_set_difficulty(ale_shim *ale, uint32_t difficulty, char *error, size_t error_len);

/* Seeds the generator of sticky actions; the emulator's own is left alone. */
void ale_shim_seed(ale_shim *ale, uint32_t seed) RL_NOEXCEPT;
int32_t ale_shim_lives(const ale_shim *ale) RL_NOEXCEPT;
int32_t ale_shim_game_over(const ale_shim *ale) RL_NOEXCEPT;
uint32_t ale_shim_episode_frame(const ale_shim *ale) RL_NOEXCEPT;

/* Palette indices, `height` rows of `width`. */
const uint8_t *ale_shim_screen(const ale_shim *ale, size_t *height, size_t *width) RL_NOEXCEPT;
/* 128 bytes. */
const uint8_t *ale_shim_ram(const ale_shim *ale) RL_NOEXCEPT;
void ale_shim_set_ram(ale_shim *ale, size_t at, uint8_t value) RL_NOEXCEPT;
/* `len` unsigned samples, 128 being silence, of the sound that the last frame leaves on; a frame's are 512. */
void ale_shim_sound(ale_shim *ale, uint8_t *samples, size_t len) RL_NOEXCEPT;
/* 0xRRGGBB of each palette index, and its luminance as ALE computes it. */
void ale_shim_palette(const ale_shim *ale, uint32_t rgb[256], uint8_t gray[256]) RL_NOEXCEPT;

/* Each writes at most `capacity` values and returns how many there are. */
size_t ale_shim_minimal_actions(const ale_shim *ale, int32_t *out, size_t capacity) RL_NOEXCEPT;
size_t ale_shim_legal_actions(const ale_shim *ale, int32_t *out, size_t capacity) RL_NOEXCEPT;
size_t ale_shim_modes(const ale_shim *ale, uint32_t *out, size_t capacity) RL_NOEXCEPT;
size_t ale_shim_difficulties(const ale_shim *ale, uint32_t *out, size_t capacity) RL_NOEXCEPT;

/* The complete state, in memory that the handle owns. */
int ale_shim_save(ale_shim *ale, const uint8_t **data, size_t *len, char *error, size_t error_len);
/* The state of a handle with the same ROM. A failure may leave the handle with parts of it: it can be played, and
   what it plays means nothing until another state is loaded or an episode begins. */
int ale_shim_load(ale_shim *ale, const uint8_t *data, size_t len, char *error, size_t error_len);

#ifdef __cplusplus
}
#endif

#endif
