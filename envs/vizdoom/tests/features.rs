//! What a game can do beside being played: demos, saved games, other formats of the screen, things and floor plans.

mod support;

use std::process::Command;

use vizdoom::{Buffer, Config, Error, Game, Mode, ScreenFormat, ScreenResolution, Variable};

/// A scenario with some of its settings changed.
fn game(name: &str, change: impl Fn(&mut Config)) -> Result<Game, Error> {
    let package = support::package();
    let mut config = Config::read(&package.join("vizdoom/scenarios").join(format!("{name}.cfg"))).unwrap();
    config.seed = Some(3);
    config.mode = Mode::Player;
    config.window_visible = false;
    config.audio.enabled = false;
    config.screen_resolution = ScreenResolution::named("RES_160X120").unwrap();
    change(&mut config);
    Game::start(config, &package)
}

fn screen(game: &Game) -> Vec<u8> {
    let mut screen = vec![0; game.buffer_len(Buffer::Screen)];
    game.copy(Buffer::Screen, &mut screen);
    screen
}

/// Tic, health and place of the player, and the screen.
fn seen(game: &Game) -> (u32, f64, f64, Vec<u8>) {
    (game.tic(), game.variable(Variable::Health), game.variable(Variable::PositionX), screen(game))
}

#[test]
fn a_demo_shows_what_was_played() {
    let dir = tempfile::tempdir().unwrap();
    let demo = dir.path().join("one two.lmp");
    let mut game = game("health_gathering", |_| ()).unwrap();
    game.record_episode(&demo).unwrap();
    let mut played = Vec::new();
    for step in 0..20 {
        game.act(&[f64::from(step % 2), 0.0, 1.0], 4).unwrap();
        played.push(seen(&game));
    }
    game.new_episode().unwrap();
    game.replay_episode(&demo, 0).unwrap();
    let begin = game.tic();
    let shown: Vec<_> = (0..24)
        .map(|_| {
            game.advance(4).unwrap();
            seen(&game)
        })
        .collect();
    // A demo begins with the first tic of its map, play with that of the file's start time.
    let places = |states: &[(u32, f64, f64, Vec<u8>)]| states.iter().map(|state| state.2).collect::<Vec<_>>();
    assert!(begin <= played[0].0, "{begin}");
    let (shown, played) = (places(&shown), places(&played));
    assert!(shown.windows(played.len()).any(|window| window == played), "{shown:?}\n{played:?}");
    assert!(matches!(game.replay_episode(&dir.path().join("none.lmp"), 0), Err(Error::Missing { .. })));
}

#[test]
fn a_saved_game_goes_on_where_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("game.zds");
    let mut game = game("health_gathering", |_| ()).unwrap();
    game.new_episode().unwrap();
    for _ in 0..10 {
        game.act(&[0.0, 0.0, 1.0], 4).unwrap();
    }
    game.save(&file).unwrap();
    let saved = (game.tic(), game.variable(Variable::PositionX), game.variable(Variable::PositionY));
    for _ in 0..10 {
        game.act(&[1.0, 0.0, 1.0], 4).unwrap();
    }
    assert_ne!(saved.1, game.variable(Variable::PositionX));
    game.load(&file).unwrap();
    assert!(game.tic().abs_diff(saved.0) <= 1, "tic {} and {}", game.tic(), saved.0);
    let near = |one: f64, other: f64| (one - other).abs() < 20.0; // the tic of loading is played
    assert!(near(game.variable(Variable::PositionX), saved.1) && near(game.variable(Variable::PositionY), saved.2));
    assert!(matches!(game.load(&dir.path().join("none.zds")), Err(Error::Missing { .. })));
}

/// Walks for `actions` actions of 4 tics.
fn walk(game: &mut Game, actions: u32) {
    for _ in 0..actions {
        game.act(&[0.0, 0.0, 1.0], 4).unwrap();
    }
}

#[test]
fn a_game_that_is_not_saved_is_an_error_and_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("game.zds");
    let mut game = game("health_gathering", |_| ()).unwrap();
    walk(&mut game, 5);
    game.save(&file).unwrap();
    let before = std::fs::read(&file).unwrap();
    let files = |dir: &std::path::Path| std::fs::read_dir(dir).unwrap().count();
    game.command("kill").unwrap();
    game.advance(4).unwrap();
    assert!(game.is_dead());
    for path in [&file, &dir.path().join("other.zds")] {
        let error = game.save(path).unwrap_err().to_string();
        assert!(error.contains("it saved nothing: it does while its player lives"), "{error}");
    }
    assert!(std::fs::read(&file).unwrap() == before && files(dir.path()) == 1);
    game.load(&file).unwrap();
    assert!(!game.is_dead());
    let error = game.save(&dir.path().join("no/game.zds")).unwrap_err().to_string();
    assert!(error.starts_with("writing ") && error.contains("no/game.zds"), "{error}");
    assert!(Command::new("kill").args(["-9", &game.process().to_string()]).status().unwrap().success());
    assert!(matches!(game.save(&file), Err(Error::Died { .. })));
    assert!(std::fs::read(&file).unwrap() == before && files(dir.path()) == 1);
}

#[test]
fn a_saved_game_has_the_name_that_it_was_given_whatever_lies_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("l".repeat(200));
    let mut game = game("health_gathering", |_| ()).unwrap();
    walk(&mut game, 2);
    for name in ["game.zds", "game", "a \"b\"; c.zds", long.to_str().unwrap()] {
        let file = dir.path().join(name);
        walk(&mut game, 5);
        game.save(&file).unwrap();
        let saved = game.tic();
        walk(&mut game, 5);
        game.load(&file).unwrap();
        assert!(game.tic().abs_diff(saved) <= 1, "{name}: tic {}, saved at {saved}", game.tic());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
}

#[test]
fn what_is_no_saved_game_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("game.zds");
    let mut game = game("health_gathering", |_| ()).unwrap();
    walk(&mut game, 5);
    game.save(&file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let end = &whole[whole.len() - 12..];
    let broken = [whole[..whole.len() / 2].to_vec(), b"nothing".to_vec(), Vec::new(), [b"nothing", end].concat()];
    for bytes in broken {
        std::fs::write(&file, &bytes).unwrap();
        let error = game.load(&file).unwrap_err().to_string();
        assert!(error.contains("it cannot load ") && error.contains("game.zds: it "), "{error}");
        let tic = game.tic();
        walk(&mut game, 1);
        assert_eq!(game.tic(), tic + 4, "the game goes on");
    }
}

#[test]
fn formats_are_the_same_picture() {
    let shot = |format: ScreenFormat| {
        let mut game = game("basic", |config| config.screen_format = format).unwrap();
        game.new_episode().unwrap();
        game.act(&[1.0, 0.0, 0.0], 4).unwrap();
        screen(&game)
    };
    let rgb = shot(ScreenFormat::Rgb24);
    let pixels = rgb.len() / 3;
    let channel = |c: usize| rgb.iter().skip(c).step_by(3).copied().collect::<Vec<_>>();
    let planes = [channel(0), channel(1), channel(2)];
    assert_eq!(shot(ScreenFormat::CrCgCb), planes.concat());
    assert_eq!(shot(ScreenFormat::CbCgCr), [2, 1, 0].map(|c: usize| planes[c].clone()).concat());
    let backwards: Vec<u8> = rgb.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    assert_eq!(shot(ScreenFormat::Bgr24), backwards);
    let with_alpha = shot(ScreenFormat::Rgba32);
    assert!(with_alpha.chunks_exact(4).zip(rgb.chunks_exact(3)).all(|(four, three)| four[..3] == *three));
    let gray = shot(ScreenFormat::Gray8);
    assert_eq!((gray.len(), shot(ScreenFormat::Doom256Colors8).len()), (pixels, pixels));
    let far = gray.iter().zip(rgb.chunks_exact(3)).map(|(&gray, pixel)| {
        let luma = 0.21 * f32::from(pixel[0]) + 0.72 * f32::from(pixel[1]) + 0.07 * f32::from(pixel[2]);
        (luma - f32::from(gray)).abs()
    });
    assert!(far.fold(0.0, f32::max) < 2.0, "grey is the brightness");
}

#[test]
fn the_world_is_told_where_it_is_asked_for() {
    let mut game = game("basic_notifications", |config| {
        config.objects_info_enabled = true;
        config.sectors_info_enabled = true;
        config.labels_buffer_enabled = true;
    })
    .unwrap();
    game.new_episode().unwrap();
    game.act(&[0.0, 0.0, 1.0], 4).unwrap();
    let objects = game.objects();
    let player = objects.iter().find(|object| object.name == "DoomPlayer").expect("the player is a thing");
    assert_eq!(player.pose.position[0], game.variable(Variable::PositionX));
    let sectors = game.sectors();
    assert!(
        !sectors.is_empty() && sectors.iter().all(|sector| sector.ceiling > sector.floor && sector.lines.len() > 2)
    );
    for label in game.labels() {
        let [x, y] = label.corner;
        let [width, height] = label.size;
        assert!(x + width <= 160 && y + height <= 120, "{label:?}");
        let known = objects.iter().any(|object| object.id == label.object && object.name == label.name);
        assert!(known, "{label:?} is no thing of the world");
    }
    assert!(!game.labels().is_empty());
}

#[test]
fn sound_is_heard_or_its_library_is_named() {
    let heard = |config: &mut Config| {
        config.audio.enabled = true;
        config.game_args.extend(["+snd_efx", "0"].map(str::to_owned)); // Debian's OpenAL: see docs/doom.md
    };
    match game("basic_audio", heard) {
        Err(error) => assert!(error.to_string().contains("libopenal1"), "{error}"),
        Ok(mut game) => {
            game.new_episode().unwrap();
            game.act(&[0.0, 0.0, 1.0], 4).unwrap();
            let mut heard = Vec::new();
            game.audio(&mut heard);
            assert_eq!(heard.len(), 2 * 44_100 / 35, "left and right of a tic");
        }
    }
}

#[test]
fn a_command_has_room_for_127_bytes() {
    let mut game = game("basic", |_| ()).unwrap();
    game.command(&"x".repeat(127)).unwrap();
    let error = game.command(&"x".repeat(128)).unwrap_err().to_string();
    assert!(error.contains("128 bytes, at most 127"), "{error}");
    game.act(&[0.0; 3], 1).unwrap();
}
