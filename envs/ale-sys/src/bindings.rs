//! What `shim.h` declares, by hand: some twenty functions need no generator.

use std::ffi::{c_char, c_int};

/// Opaque handle of a console on the C side.
#[repr(C)]
pub(crate) struct Shim {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    pub(crate) fn ale_shim_identify(rom: *const u8, len: usize, md5: *mut c_char) -> *const c_char;
    pub(crate) fn ale_shim_new(
        path: *const c_char,
        sticky: f32,
        seed: u32,
        error: *mut c_char,
        error_len: usize,
    ) -> *mut Shim;
    pub(crate) fn ale_shim_free(ale: *mut Shim);
    pub(crate) fn ale_shim_act(
        ale: *mut Shim,
        action: i32,
        reward: *mut i32,
        error: *mut c_char,
        error_len: usize,
    ) -> c_int;
    pub(crate) fn ale_shim_reset(ale: *mut Shim, error: *mut c_char, error_len: usize) -> c_int;
    pub(crate) fn ale_shim_set_mode(ale: *mut Shim, mode: u32, error: *mut c_char, error_len: usize) -> c_int;
    pub(crate) fn ale_shim_set_difficulty(
        ale: *mut Shim,
        difficulty: u32,
        error: *mut c_char,
        error_len: usize,
    ) -> c_int;
    pub(crate) fn ale_shim_seed(ale: *mut Shim, seed: u32);
    pub(crate) fn ale_shim_lives(ale: *const Shim) -> i32;
    pub(crate) fn ale_shim_game_over(ale: *const Shim) -> i32;
    pub(crate) fn ale_shim_episode_frame(ale: *const Shim) -> u32;
    pub(crate) fn ale_shim_screen(ale: *const Shim, height: *mut usize, width: *mut usize) -> *const u8;
    pub(crate) fn ale_shim_ram(ale: *const Shim) -> *const u8;
    pub(crate) fn ale_shim_set_ram(ale: *mut Shim, at: usize, value: u8);
    pub(crate) fn ale_shim_sound(ale: *mut Shim, samples: *mut u8, len: usize);
    pub(crate) fn ale_shim_palette(ale: *const Shim, rgb: *mut u32, gray: *mut u8);
    pub(crate) fn ale_shim_minimal_actions(ale: *const Shim, out: *mut i32, capacity: usize) -> usize;
    pub(crate) fn ale_shim_legal_actions(ale: *const Shim, out: *mut i32, capacity: usize) -> usize;
    pub(crate) fn ale_shim_modes(ale: *const Shim, out: *mut u32, capacity: usize) -> usize;
    pub(crate) fn ale_shim_difficulties(ale: *const Shim, out: *mut u32, capacity: usize) -> usize;
    pub(crate) fn ale_shim_save(
        ale: *mut Shim,
        data: *mut *const u8,
        len: *mut usize,
        error: *mut c_char,
        error_len: usize,
    ) -> c_int;
    pub(crate) fn ale_shim_load(
        ale: *mut Shim,
        data: *const u8,
        len: usize,
        error: *mut c_char,
        error_len: usize,
    ) -> c_int;
}
