//! What the engine keeps in shared memory, byte by byte: its own names, types and places.
//!
//! Each structure is written once, as a table. The table becomes a `#[repr(C)]` mirror, whose sizes and places are checked
//! while this compiles, and the constants by which fields are read, so that a name, a type and a place cannot part. Flags
//! are bytes here: another process writes them, and not every byte is a `bool`.
//!
//! Source: the layout of ViZDoom 1.3.2 (MIT licence, © Wydmuch, Kempka, Jaśkowski, Runc, Toczek and the Farama Foundation).

use std::marker::PhantomData;

use bytemuck::{AnyBitPattern, NoUninit};

/// A value of type `T` at a place in a structure.
#[derive(Debug)]
pub(crate) struct Field<T> {
    pub(crate) offset: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T> Field<T> {
    const fn at(offset: usize) -> Self {
        Self { offset, kind: PhantomData }
    }
}

impl<T, const N: usize> Field<[T; N]> {
    /// One element of an array.
    ///
    /// # Panics
    /// If there is none of this number.
    pub(crate) fn element(self, index: usize) -> Field<T> {
        assert!(index < N, "element {index} of {N}");
        Field::at(self.offset + index * size_of::<T>())
    }
}

macro_rules! layout {
    ($(#[$doc:meta])* $name:ident as $fields:ident, $size:literal: $($field:ident: $type:ty = $offset:literal,)*) => {
        $(#[$doc])*
        #[repr(C)]
        #[allow(non_snake_case, dead_code)] // the engine's own names; the mirror is there for its places
        struct $name {
            $($field: $type,)*
        }

        const _: () = {
            assert!(size_of::<$name>() == $size);
            $(assert!(std::mem::offset_of!($name, $field) == $offset);)*
        };

        $(#[$doc])*
        #[allow(dead_code)] // all of them are written down, not all of them are asked for
        pub(crate) mod $fields {
            use super::*;
            pub(crate) const SIZE: usize = $size;
            $(pub(crate) const $field: Field<$type> = Field::at($offset);)*
        }
    };
}

/// Players that a game can have.
pub(crate) const MAX_PLAYERS: usize = 16;
/// Regions of the memory: game, input, screen, depth, labels, automap, audio.
pub(crate) const REGIONS: usize = 7;
/// Version number that the engine of ViZDoom 1.3.2 reports.
pub(crate) const VERSION: u32 = 132;

layout! {
    /// Game state, which the engine writes. `MAP_REWARD` is fixed point, 16 bits before and 16 behind the point.
    GameState as game, 10611848:
    VERSION: u32 = 0,
    VERSION_STR: [u8; 16] = 4,
    SM_SIZE: u64 = 24,
    SM_REGION_OFFSET: [u64; REGIONS] = 32,
    SM_REGION_SIZE: [u64; REGIONS] = 88,
    SM_REGION_WRITEABLE: [u8; REGIONS] = 144,
    GAME_TIC: u32 = 152,
    GAME_STATE: i32 = 156,
    GAME_ACTION: i32 = 160,
    GAME_STATIC_SEED: u32 = 164,
    GAME_SETTINGS_CONTROLLER: u8 = 168,
    GAME_NETGAME: u8 = 169,
    GAME_MULTIPLAYER: u8 = 170,
    GAME_DEATHMATCH: u8 = 171,
    DEMO_RECORDING: u8 = 172,
    DEMO_PLAYBACK: u8 = 173,
    OPENAL_SOUND: u8 = 174,
    SCREEN_WIDTH: u32 = 176,
    SCREEN_HEIGHT: u32 = 180,
    SCREEN_PITCH: u64 = 184,
    SCREEN_SIZE: u64 = 192,
    SCREEN_FORMAT: i32 = 200,
    DEPTH_BUFFER: u8 = 204,
    LABELS: u8 = 205,
    AUTOMAP: u8 = 206,
    OBJECTS: u8 = 207,
    SECTORS: u8 = 208,
    AUDIO_BUFFER: u8 = 209,
    NOTIFICATIONS: u8 = 210,
    MAP_START_TIC: u32 = 212,
    MAP_TIC: u32 = 216,
    MAP_TICLIMIT: u32 = 220,
    MAP_REWARD: i32 = 224,
    MAP_USER_VARS: [i32; 60] = 228,
    MAP_KILLCOUNT: i32 = 468,
    MAP_ITEMCOUNT: i32 = 472,
    MAP_SECRETCOUNT: i32 = 476,
    MAP_END: u8 = 480,
    PLAYER_HAS_ACTOR: u8 = 481,
    PLAYER_DEAD: u8 = 482,
    PLAYER_NAME: [u8; 128] = 483,
    PLAYER_KILLCOUNT: i32 = 612,
    PLAYER_ITEMCOUNT: i32 = 616,
    PLAYER_SECRETCOUNT: i32 = 620,
    PLAYER_FRAGCOUNT: i32 = 624,
    PLAYER_DEATHCOUNT: i32 = 628,
    PLAYER_ON_GROUND: u8 = 632,
    PLAYER_HEALTH: i32 = 636,
    PLAYER_ARMOR: i32 = 640,
    PLAYER_ATTACK_READY: u8 = 644,
    PLAYER_ALTATTACK_READY: u8 = 645,
    PLAYER_SELECTED_WEAPON: i32 = 648,
    PLAYER_SELECTED_WEAPON_AMMO: i32 = 652,
    PLAYER_AMMO: [i32; 10] = 656,
    PLAYER_WEAPON: [i32; 10] = 696,
    PLAYER_MOVEMENT: [f64; 10] = 736,
    CAMERA: [f64; 7] = 816,
    PLAYER_READY_TO_RESPAWN: u8 = 872,
    PLAYER_NUMBER: u32 = 876,
    PLAYER_COUNT: u32 = 880,
    PLAYER_N_IN_GAME: [u8; MAX_PLAYERS] = 884,
    PLAYER_N_NAME: [[u8; 128]; MAX_PLAYERS] = 900,
    PLAYER_N_FRAGCOUNT: [i32; MAX_PLAYERS] = 2948,
    PLAYER_N_AFK: [u8; MAX_PLAYERS] = 3012,
    PLAYER_N_LAST_ACTION_TIC: [u32; MAX_PLAYERS] = 3028,
    PLAYER_N_LAST_KILL_TIC: [u32; MAX_PLAYERS] = 3092,
    LABEL_COUNT: u32 = 3156,
    LABEL: [RawLabel; 256] = 3160,
    OBJECT_COUNT: u32 = 93272,
    OBJECT: [RawObject; 4096] = 93280,
    SECTOR_COUNT: u32 = 1469536,
    SECTOR: [RawSector; 2048] = 1469544,
    LINE_COUNT: u32 = 9923688,
    LINE: [RawLine; 16384] = 9923696,
    PLAYER_HITCOUNT: i32 = 10579056,
    PLAYER_HITS_TAKEN: i32 = 10579060,
    PLAYER_DAMAGECOUNT: i32 = 10579064,
    PLAYER_DAMAGE_TAKEN: i32 = 10579068,
    NOTIFICATIONS_TEXT_SIZE: u32 = 10579072,
    NOTIFICATIONS_TEXT: [u8; 32768] = 10579076,
}

layout! {
    /// Input state, which we write: values of buttons, which of them the engine heeds, and bounds of delta buttons.
    InputState as input, 776:
    BT: [f64; 43] = 0,
    BT_AVAILABLE: [u8; 43] = 344,
    BT_MAX_VALUE: [f64; 5] = 392,
    CMD_BT: [f64; 43] = 432,
}

/// Layout of [`Label`](crate::Label): an object on the screen.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct RawLabel {
    pub(crate) value: u8,
    pub(crate) position: [u32; 2],
    pub(crate) size: [u32; 2],
    pub(crate) object: u32,
    pub(crate) pose: [f64; 9],
    pub(crate) name: [u8; 128],
    pub(crate) category: [u8; 128],
}

/// Layout of [`Object`](crate::Object): an object of the map.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct RawObject {
    pub(crate) id: u32,
    pub(crate) sector: i32,
    pub(crate) pose: [f64; 9],
    pub(crate) category: [u8; 128],
    pub(crate) name: [u8; 128],
}

/// Layout of [`Sector`](crate::Sector): an area of the map.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct RawSector {
    pub(crate) id: u32,
    pub(crate) floor: f64,
    pub(crate) ceiling: f64,
    pub(crate) line_count: u32,
    pub(crate) lines: [u32; 1024],
}

/// Layout of [`Line`](crate::Line): an edge of a sector.
#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
pub(crate) struct RawLine {
    pub(crate) position: [f64; 4],
    pub(crate) blocking: u8,
}

/// A message of either queue.
#[derive(Clone, Copy, Debug, AnyBitPattern, NoUninit)]
#[repr(C)]
pub(crate) struct Message {
    pub(crate) code: u8,
    pub(crate) command: [u8; 128],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<RawLabel>() == 352 && offset_of!(RawLabel, pose) == 24 && offset_of!(RawLabel, category) == 224);
    assert!(
        size_of::<RawObject>() == 336 && offset_of!(RawObject, category) == 80 && offset_of!(RawObject, name) == 208
    );
    assert!(size_of::<RawSector>() == 4128 && offset_of!(RawSector, lines) == 28);
    assert!(size_of::<RawLine>() == 40 && offset_of!(RawLine, blocking) == 32);
    assert!(size_of::<Message>() == 129);
};
