//! What the engine tells of the game besides pictures.

use crate::Variable;
use crate::layout::{RawLabel, RawLine, RawObject, game};
use crate::memory::{SharedMemory, text};

/// Position, orientation and velocity of an object, in map units, degrees and map units per tic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Position x, y, z, in map units.
    pub position: [f64; 3],
    /// Yaw in degrees: the direction that the object faces.
    pub angle: f64,
    /// Pitch in degrees: how far the object looks up or down.
    pub pitch: f64,
    /// Roll in degrees, around the direction of view.
    pub roll: f64,
    /// Velocity x, y, z, in map units per tic.
    pub velocity: [f64; 3],
}

/// An object on the screen, marked in the labels buffer by its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Value of the object's pixels in the labels buffer.
    pub value: u8,
    /// Left and top edge of the object's bounding box, in pixels.
    pub corner: [u32; 2],
    /// Width and height of the object's bounding box, in pixels.
    pub size: [u32; 2],
    /// Number of the object, as in [`Object::id`].
    pub object: u32,
    /// Position, orientation and velocity of the object.
    pub pose: Pose,
    /// Name of the object's class in the engine, such as `DoomImp`.
    pub name: String,
    /// Category of the object, such as `Monster`.
    pub category: String,
}

/// An object of the map, such as a monster, an item or a player.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Number of the object.
    pub id: u32,
    /// Number of the sector that the object is in.
    pub sector: i32,
    /// Position, orientation and velocity of the object.
    pub pose: Pose,
    /// Name of the object's class in the engine, such as `DoomImp`.
    pub name: String,
    /// Category of the object, such as `Monster`.
    pub category: String,
}

/// A sector of the map: an area with one height of floor and ceiling.
#[derive(Clone, Debug, PartialEq)]
pub struct Sector {
    /// Number of the sector.
    pub id: u32,
    /// Height of the floor, in map units.
    pub floor: f64,
    /// Height of the ceiling, in map units.
    pub ceiling: f64,
    /// Edges of the sector.
    pub lines: Vec<Line>,
}

/// An edge of a [`Sector`], such as a wall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Position x, y of the first end, in map units.
    pub from: [f64; 2],
    /// Position x, y of the second end, in map units.
    pub to: [f64; 2],
    /// Whether the edge blocks movement, as a wall does.
    pub blocking: bool,
}

/// A player of a multiplayer game.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Player {
    /// Name of the player.
    pub name: String,
    /// Number of other players killed, less suicides.
    pub frags: i32,
    /// Whether the engine counts the player as inactive (away from keyboard).
    pub afk: bool,
    /// Tic of the player's last action.
    pub last_action_tic: u32,
    /// Tic of the player's last kill.
    pub last_kill_tic: u32,
}

/// Returns the value of a game variable; whole numbers and flags are `f64` too, as in ViZDoom.
pub(crate) fn variable(memory: &SharedMemory, variable: Variable) -> f64 {
    use Variable::*;
    let whole = |field| f64::from(memory.get(field));
    let flag = |field| f64::from(u8::from(memory.flag(field)));
    let number = variable as usize;
    let nth = |first: Variable| number - first as usize;
    match variable {
        KillCount => whole(game::MAP_KILLCOUNT),
        ItemCount => whole(game::MAP_ITEMCOUNT),
        SecretCount => whole(game::MAP_SECRETCOUNT),
        FragCount => whole(game::PLAYER_FRAGCOUNT),
        DeathCount => whole(game::PLAYER_DEATHCOUNT),
        HitCount => whole(game::PLAYER_HITCOUNT),
        HitsTaken => whole(game::PLAYER_HITS_TAKEN),
        DamageCount => whole(game::PLAYER_DAMAGECOUNT),
        DamageTaken => whole(game::PLAYER_DAMAGE_TAKEN),
        Health => whole(game::PLAYER_HEALTH),
        Armor => whole(game::PLAYER_ARMOR),
        Dead => flag(game::PLAYER_DEAD),
        OnGround => flag(game::PLAYER_ON_GROUND),
        AttackReady => flag(game::PLAYER_ATTACK_READY),
        AltAttackReady => flag(game::PLAYER_ALTATTACK_READY),
        SelectedWeapon => whole(game::PLAYER_SELECTED_WEAPON),
        SelectedWeaponAmmo => whole(game::PLAYER_SELECTED_WEAPON_AMMO),
        PlayerNumber => f64::from(memory.get(game::PLAYER_NUMBER)),
        PlayerCount => f64::from(memory.get(game::PLAYER_COUNT)),
        _ if (Ammo0..=Ammo9).contains(&variable) => whole(game::PLAYER_AMMO.element(nth(Ammo0))),
        _ if (Weapon0..=Weapon9).contains(&variable) => whole(game::PLAYER_WEAPON.element(nth(Weapon0))),
        _ if (PositionX..=VelocityZ).contains(&variable) => memory.get(game::PLAYER_MOVEMENT.element(nth(PositionX))),
        _ if (CameraPositionX..=CameraFov).contains(&variable) => {
            memory.get(game::CAMERA.element(nth(CameraPositionX)))
        }
        _ if (User1..=User60).contains(&variable) => whole(game::MAP_USER_VARS.element(nth(User1))),
        _ => whole(game::PLAYER_N_FRAGCOUNT.element(nth(Player1FragCount))),
    }
}

pub(crate) fn labels(memory: &SharedMemory) -> Vec<Label> {
    let label = |raw: RawLabel| Label {
        value: raw.value,
        corner: raw.position,
        size: raw.size,
        object: raw.object,
        pose: pose(raw.pose),
        name: text(&raw.name),
        category: text(&raw.category),
    };
    (0..memory.get(game::LABEL_COUNT).min(256) as usize).map(|n| label(memory.get(game::LABEL.element(n)))).collect()
}

pub(crate) fn objects(memory: &SharedMemory) -> Vec<Object> {
    let object = |raw: RawObject| Object {
        id: raw.id,
        sector: raw.sector,
        pose: pose(raw.pose),
        name: text(&raw.name),
        category: text(&raw.category),
    };
    (0..memory.get(game::OBJECT_COUNT).min(4096) as usize)
        .map(|n| object(memory.get(game::OBJECT.element(n))))
        .collect()
}

pub(crate) fn sectors(memory: &SharedMemory) -> Vec<Sector> {
    let edge = |raw: RawLine| {
        let [x1, y1, x2, y2] = raw.position;
        Line { from: [x1, y1], to: [x2, y2], blocking: raw.blocking != 0 }
    };
    let lines = |raw: &[u32]| raw.iter().map(|&n| edge(memory.get(game::LINE.element(n as usize % 16384)))).collect();
    let sector = |n: usize| {
        let raw = memory.get(game::SECTOR.element(n));
        let count = raw.line_count.min(1024) as usize;
        Sector { id: raw.id, floor: raw.floor, ceiling: raw.ceiling, lines: lines(&raw.lines[..count]) }
    };
    (0..memory.get(game::SECTOR_COUNT).min(2048) as usize).map(sector).collect()
}

/// Lists the players by their number; `None` where a number is not taken.
pub(crate) fn players(memory: &SharedMemory) -> Vec<Option<Player>> {
    let player = |n: usize| Player {
        name: text(&memory.get(game::PLAYER_N_NAME.element(n))),
        frags: memory.get(game::PLAYER_N_FRAGCOUNT.element(n)),
        afk: memory.flag(game::PLAYER_N_AFK.element(n)),
        last_action_tic: memory.get(game::PLAYER_N_LAST_ACTION_TIC.element(n)),
        last_kill_tic: memory.get(game::PLAYER_N_LAST_KILL_TIC.element(n)),
    };
    let plays = |n: usize| memory.flag(game::PLAYER_N_IN_GAME.element(n));
    (0..crate::layout::MAX_PLAYERS).map(|n| plays(n).then(|| player(n))).collect()
}

pub(crate) fn notifications(memory: &SharedMemory) -> String {
    let bytes = memory.get(game::NOTIFICATIONS_TEXT);
    let size = (memory.get(game::NOTIFICATIONS_TEXT_SIZE) as usize).min(bytes.len());
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

fn pose([x, y, z, angle, pitch, roll, vx, vy, vz]: [f64; 9]) -> Pose {
    Pose { position: [x, y, z], angle, pitch, roll, velocity: [vx, vy, vz] }
}
