//! What the engine tells of the game besides pictures.

use crate::Variable;
use crate::layout::{RawLabel, RawLine, RawObject, game};
use crate::memory::{Memory, text};

/// Where a thing is, how it turns and how it moves, in units of the map, degrees and units per tic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// x, y, z.
    pub position: [f64; 3],
    /// Yaw.
    pub angle: f64,
    /// Up and down.
    pub pitch: f64,
    /// Around the direction of view.
    pub roll: f64,
    /// x, y, z.
    pub velocity: [f64; 3],
}

/// A thing on the screen, marked by its value in the buffer of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Its value in the buffer.
    pub value: u8,
    /// Left and top edge of its box, in pixels.
    pub corner: [u32; 2],
    /// Width and height of its box, in pixels.
    pub size: [u32; 2],
    /// Number of the thing, as in [`Object::id`].
    pub object: u32,
    /// Where it is.
    pub pose: Pose,
    /// The engine's class, such as `DoomImp`.
    pub name: String,
    /// What kind of thing that is, such as `Monster`.
    pub category: String,
}

/// A thing in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its number.
    pub id: u32,
    /// Number of the sector that it stands in.
    pub sector: i32,
    /// Where it is.
    pub pose: Pose,
    /// The engine's class.
    pub name: String,
    /// What kind of thing that is.
    pub category: String,
}

/// A part of the floor plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Sector {
    /// Its number.
    pub id: u32,
    /// Height of the floor.
    pub floor: f64,
    /// Height of the ceiling.
    pub ceiling: f64,
    /// Its edges.
    pub lines: Vec<Line>,
}

/// An edge of a sector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// x and y of one end.
    pub from: [f64; 2],
    /// x and y of the other.
    pub to: [f64; 2],
    /// Whether it stops who walks.
    pub blocking: bool,
}

/// A player of a game for several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Player {
    /// The name.
    pub name: String,
    /// Others killed, less times killed by oneself.
    pub frags: i32,
    /// Whether nothing has been done for long.
    pub afk: bool,
    /// Tic of the last action.
    pub last_action_tic: u32,
    /// Tic of the last kill.
    pub last_kill_tic: u32,
}

/// The value of a variable; whole numbers and flags too are `f64` there, as in the original.
pub(crate) fn variable(memory: &Memory, variable: Variable) -> f64 {
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

pub(crate) fn labels(memory: &Memory) -> Vec<Label> {
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

pub(crate) fn objects(memory: &Memory) -> Vec<Object> {
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

pub(crate) fn sectors(memory: &Memory) -> Vec<Sector> {
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

/// Who plays, by the number of the player.
pub(crate) fn players(memory: &Memory) -> Vec<Option<Player>> {
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

pub(crate) fn notifications(memory: &Memory) -> String {
    let bytes = memory.get(game::NOTIFICATIONS_TEXT);
    let size = (memory.get(game::NOTIFICATIONS_TEXT_SIZE) as usize).min(bytes.len());
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

fn pose([x, y, z, angle, pitch, roll, vx, vy, vz]: [f64; 9]) -> Pose {
    Pose { position: [x, y, z], angle, pitch, roll, velocity: [vx, vy, vz] }
}
