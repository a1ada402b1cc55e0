//! Dashboards of every size, as the letters that a terminal gets.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use rl_core::Canvas;

use super::paint::{Look, paint};
use super::scene::{Over, Scene};

/// A run that has gone on for a while.
fn scene() -> Scene {
    let mut scene = Scene::new("ppo on cartpole, seed 3", 0, 60_000);
    (scene.frames, scene.agent_steps, scene.updates, scene.rate) = (30_000, 30_000, 1400, 1000.0);
    (scene.glance.mean_return, scene.glance.loss) = (Some(123.25), Some(0.5));
    for number in 1..=200u64 {
        scene.episode(150 * number, Over { number, ret: number as f64, frames: number });
    }
    scene.row(
        100,
        &[("loss", 0.75), ("entropy", 0.6), ("seconds_step", 1.0), ("seconds_backward", 3.0), ("episodes", 9.0)],
    );
    scene.row(200, &[("loss", 0.5), ("entropy", f64::NAN), ("seconds_step", 1.0), ("seconds_backward", 3.0)]);
    scene.note("evaluation at 100 frames: mean 21.000");
    scene.picture = Canvas::new(60, 40);
    scene.picture.pixels_mut().fill(200);
    scene
}

/// The letters of a dashboard, line by line.
fn drawn(scene: &Scene, look: &mut Look, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| paint(frame, scene, look)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_large_one_shows_everything() {
    let text = drawn(&scene(), &mut Look::default(), 120, 40);
    for words in [
        "ppo on cartpole, seed 3",
        "return 123.2",
        "1,400 updates",
        "50 %",
        "30,000/60,000 frames  0:30 left  1,000 frames/s",
        "return (1/3, tab)",
        "first seat",
        "backward   75 % ████",
        "step       25 % █",
        "200  200.0  200 frames",
        "evaluation at 100 frames: mean 21.000",
        "q stop with a checkpoint",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert!(text.matches('▀').count() > 300, "the game:\n{text}");
    assert!(text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "a curve of dots:\n{text}");
}

#[test]
fn smaller_ones_show_what_fits() {
    let narrow = drawn(&scene(), &mut Look::default(), 70, 24);
    assert!(
        narrow.contains("return (1/3") && narrow.contains("where the time goes") && !narrow.contains('▀'),
        "{narrow}"
    );
    let low = drawn(&scene(), &mut Look::default(), 100, 16);
    assert!(low.contains("30,000 frames") && low.contains('▀') && low.contains("step       25 %"), "{low}");
    let tiny = drawn(&scene(), &mut Look::default(), 40, 6);
    assert!(tiny.contains("30,000/60,000 frames") && tiny.contains("episode 200 200.0"), "{tiny}");
    for (width, height) in [(1, 1), (59, 40), (60, 16), (61, 15), (300, 100), (90, 16), (20, 60)] {
        for help in [false, true] {
            drawn(&scene(), &mut Look { help, ..Look::default() }, width, height);
            drawn(&Scene::new("new", 0, 0), &mut Look { help, ..Look::default() }, width, height);
        }
    }
}

#[test]
fn keys_choose_the_curve_and_help_goes_with_any_of_them() {
    let (scene, mut look) = (scene(), Look::default());
    drawn(&scene, &mut look, 120, 40);
    look.press(KeyCode::Tab);
    let text = drawn(&scene, &mut look, 120, 40);
    assert!(text.contains("loss (2/3, tab)") && text.contains("200 frames"), "{text}");
    look.press(KeyCode::Left);
    look.press(KeyCode::Left);
    assert!(drawn(&scene, &mut look, 120, 40).contains("entropy (3/3"));
    look.press(KeyCode::Char('?'));
    let text = drawn(&scene, &mut look, 120, 40);
    assert!(text.contains("end at once") && text.contains("`rl-run resume` continues"), "{text}");
    look.press(KeyCode::Char('?'));
    assert!(!drawn(&scene, &mut look, 120, 40).contains("end at once"));
    (look.stopping, look.still) = (true, true);
    let text = drawn(&scene, &mut look, 120, 40);
    assert!(text.contains("stopping") && text.contains("stands still"), "{text}");
}
