//! Which recording is watched, as files come, grow, are replaced and go.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{player, recorded, tables, taken, write};
use crate::games::screening::Screening;
use crate::games::takes::Take;
use crate::viewer::follow::Follow;

/// Writes a file that was last written so many seconds ago.
fn aged(path: &Path, seconds: u64, write: impl FnOnce(&Path)) {
    write(path);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

/// The same, a recording of these games of Mountain Car.
fn games(path: &Path, seconds: u64, choose: impl Fn(&[Take]) -> Vec<Take>) {
    let (resolved, env, takes) = taken("mountaincar", &["env.max_steps=60"], 4, false);
    aged(path, seconds, |path| write(path, &resolved, env.as_ref(), &choose(&takes), false));
}

#[test]
fn the_newest_recording_that_can_be_read_is_meant_and_what_is_later_is_newer() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Follow::new(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("rl-run record RUN --out"), "{refused}");
    fs::create_dir_all(dir.path().join("a/recordings")).unwrap();
    let at = |name: &str| dir.path().join(name);
    let (old, new, empty, junk) = (at("old.rec"), at("a/recordings/new.rec"), at("empty.rec"), at("zz.rec"));
    aged(&junk, 10, |path| fs::write(path, "junk").unwrap());
    let refused = Follow::new(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("zz.rec is not a recording"), "{refused}");
    games(&old, 50, |takes| takes[..1].to_vec());
    games(&new, 40, |takes| takes[..2].to_vec());
    games(&empty, 30, |_| Vec::new());
    aged(&at("newer.txt"), 20, |path| fs::write(path, "").unwrap());
    let (mut follow, shown) = Follow::new(dir.path()).unwrap();
    assert_eq!(
        (follow.file(), shown.episodes.len()),
        (&*new, 2),
        "neither a game nor a recording is in those after it"
    );
    assert!(follow.newer(&shown).is_none(), "nor is one of them newer");
    assert_eq!(Follow::new(&old).unwrap().0.file(), old);

    let late = at("late.rec");
    games(&late, 5, |takes| takes[..3].to_vec());
    aged(&junk, 1, |path| fs::write(path, "more of it").unwrap());
    let (found, grown) = follow.newer(&shown).unwrap();
    assert_eq!(
        (follow.file(), found.episodes.len(), grown),
        (&*late, 3, false),
        "another, though it begins as the one before"
    );
    fs::remove_file(&late).unwrap();
    assert!(follow.newer(&found).is_none(), "those that are left were there before");
    fs::write(at("a/run.json"), "").unwrap();
    fs::remove_file(&new).unwrap();
    assert!(Follow::new(&at("a")).unwrap_err().to_string().contains("/a --out"));
}

#[test]
fn a_file_that_is_replaced_has_grown_only_if_it_begins_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("games.rec");
    games(&file, 50, |takes| takes[..2].to_vec());
    let (mut follow, two) = Follow::new(&file).unwrap();
    assert!(follow.newer(&two).is_none());
    games(&file, 40, |takes| takes[..3].to_vec());
    let (three, grown) = follow.newer(&two).unwrap();
    assert_eq!((three.episodes.len(), grown), (3, true));
    games(&file, 30, |takes| takes[..2].to_vec());
    assert!(!follow.newer(&three).unwrap().1, "fewer games");
    games(&file, 20, |takes| takes[1..].to_vec());
    let (others, grown) = follow.newer(&two).unwrap();
    assert_eq!((others.episodes.len(), grown), (3, false), "other games");
    games(&file, 60, |takes| takes.to_vec());
    assert!(!follow.newer(&others).unwrap().1, "one that was written before and was given the name");
    let (resolved, env, takes) = taken("mountaincar", &["env.max_steps=50"], 4, false);
    aged(&file, 10, |path| write(path, &resolved, env.as_ref(), &takes, false));
    let all = follow.newer(&others).unwrap().0;
    games(&file, 5, |takes| takes.to_vec());
    assert!(!follow.newer(&all).unwrap().1, "of other settings");
}

#[test]
fn what_was_known_of_a_game_stays_known_where_its_recording_grows() {
    let (two, three) = (recorded("mountaincar", &[], 2), recorded("mountaincar", &[], 3));
    let mut player = player(two.clone());
    let known = player.survey().steps().len();
    assert_eq!(known, player.played().steps());
    player.renew(three, Screening::new(&two.manifest, &tables()).unwrap(), true).unwrap();
    assert_eq!((player.survey().steps().len(), player.games().len()), (known, 3));
}
