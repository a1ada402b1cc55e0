//! The real windows on a display of their own, with keys and a mouse: `make test-window`.
#![cfg(feature = "viewer")]
#![forbid(unsafe_code)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{json, output, rl_run};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConfigureWindowAux, ConnectionExt as _, ImageFormat, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// Types of events. Source: the X protocol's `X.h`.
const KEY: u8 = 2;
const BUTTON: u8 = 4;
const MOTION: u8 = 6;
/// Keysyms. Source: `keysymdef.h`.
const LEFT: u32 = 0xff51;
const RIGHT: u32 = 0xff53;
const DOWN: u32 = 0xff54;
const HOME: u32 = 0xff50;
const END: u32 = 0xff57;
const PAGE_DOWN: u32 = 0xff56;
const TAB: u32 = 0xff09;
const ESCAPE: u32 = 0xff1b;
const SHIFT: u32 = 0xffe1;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A display, and the one window on it.
struct Desk {
    x: RustConnection,
    root: Window,
    window: Window,
    program: Ends,
    _server: Ends,
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

impl Desk {
    /// Starts a display of 1,400 x 900 pixels and `rl-run` on it.
    fn with(at: &Path, line: &str) -> Self {
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "1", "-screen", "0", "1400x900x24", "-nolisten", "tcp"]);
        let server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server = Ends(server.expect("Xvfb is there: `scripts/setup window` installs it"));
        let mut number = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let display = format!(":{}", number.trim());
        let (x, screen) = x11rb::connect(Some(&display)).unwrap();
        let root = x.setup().roots[screen].root;
        let mut program = rl_run(at, line);
        let program = Ends(program.env("DISPLAY", &display).env_remove("WAYLAND_DISPLAY").spawn().unwrap());
        let window = until("a window", || {
            let all = x.query_tree(root).unwrap().reply().unwrap().children;
            all.into_iter().find(|&window| title(&x, window).is_some_and(|title| title.ends_with("rl-run")))
        });
        let desk = Self { x, root, window, program, _server: server };
        desk.point(60, 60);
        until("a picture", || desk.image().iter().any(|&byte| byte > 40).then_some(()));
        desk
    }

    fn title(&self) -> String {
        title(&self.x, self.window).unwrap_or_default()
    }

    /// Waits until the title says this.
    fn says(&self, part: &str) {
        until(part, || self.title().contains(part).then_some(()));
    }

    /// Takes so many steps from the first on.
    fn walk(&self, steps: usize) {
        for step in 1..=steps {
            let there = format!("step {step} of");
            // A key that is let go and pressed again within one frame, as on a busy machine, is one that was held.
            until(&there, || {
                self.key(RIGHT);
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(5) {
                    if self.title().contains(&there) {
                        return Some(());
                    }
                    sleep(Duration::from_millis(20));
                }
                None
            });
        }
    }

    fn size(&self) -> (u16, u16) {
        let about = self.x.get_geometry(self.window).unwrap().reply().unwrap();
        (about.width, about.height)
    }

    /// Pixels of the window, four bytes each.
    fn image(&self) -> Vec<u8> {
        let (width, height) = self.size();
        let image = self.x.get_image(ImageFormat::Z_PIXMAP, self.window, 0, 0, width, height, !0);
        image.unwrap().reply().unwrap().data
    }

    /// Waits until the window looks like this.
    fn looks(&self, what: &str, expected: &[u8]) {
        until(what, || (self.image() == expected).then_some(()));
    }

    /// Waits until nothing has moved for a second: threads beside have said what they had to.
    fn rests(&self) -> Vec<u8> {
        let (mut last, mut since) = (self.image(), Instant::now());
        until("rest", || {
            let image = self.image();
            if image != last {
                (last, since) = (image, Instant::now());
            }
            (since.elapsed() > Duration::from_secs(1)).then_some(())
        });
        last
    }

    /// Waits until the window looks otherwise, and does so twice.
    fn changes(&self, what: &str, from: &[u8]) -> Vec<u8> {
        let mut last = Vec::new();
        until(what, || {
            let image = self.image();
            let settled = image == last && image != from;
            last = image;
            settled.then_some(())
        });
        last
    }

    fn fake(&self, kind: u8, detail: u8, (x, y): (i16, i16)) {
        self.x.xtest_fake_input(kind, detail, 0, self.root, x, y, 0).unwrap().check().unwrap();
        sleep(Duration::from_millis(60)); // longer than a frame
    }

    fn code(&self, keysym: u32) -> u8 {
        let setup = self.x.setup();
        let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
        let mapping = self.x.get_keyboard_mapping(first, count).unwrap().reply().unwrap();
        let each = usize::from(mapping.keysyms_per_keycode);
        let at = mapping.keysyms.chunks(each).position(|keysyms| keysyms.contains(&keysym));
        first + u8::try_from(at.expect("the keyboard has the key")).unwrap()
    }

    fn key(&self, keysym: u32) {
        let code = self.code(keysym);
        self.fake(KEY, code, (0, 0));
        self.fake(KEY + 1, code, (0, 0));
    }

    /// Moves the mouse to a place of the window.
    fn point(&self, x: i16, y: i16) {
        let at = self.x.translate_coordinates(self.window, self.root, x, y).unwrap().reply().unwrap();
        self.fake(MOTION, 0, (at.dst_x, at.dst_y));
    }

    fn click(&self, x: i16, y: i16) {
        self.point(x, y);
        self.fake(BUTTON, 1, (0, 0));
        self.fake(BUTTON + 1, 1, (0, 0));
        self.point(60, 60);
    }

    fn resize(&self, width: u32, height: u32) {
        let size = ConfigureWindowAux::new().width(width).height(height);
        self.x.configure_window(self.window, &size).unwrap().check().unwrap();
    }

    /// Waits for the end of the program, and whether it ended well.
    fn ends(mut self) -> bool {
        until("its end", || self.program.0.try_wait().unwrap()).success()
    }
}

fn title(x: &RustConnection, window: Window) -> Option<String> {
    let name = x.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 1000).ok()?.reply().ok()?;
    String::from_utf8(name.value).ok()
}

#[test]
#[ignore = "needs Xvfb: make test-window"]
fn a_person_watches_games() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env mountaincar --random --episodes 3 --seed 1 --out games.rec --json");
    let desk = Desk::with(at, "watch . --paused");
    desk.says("mountaincar - game 1 of 3 - step 0 of 200 - return 0 - 1x");
    let (width, height) = desk.size();

    desk.key(RIGHT);
    desk.says("step 1 of");
    let first = desk.changes("the first step", &[]);
    desk.key(RIGHT);
    desk.says("step 2 of");
    let second = desk.changes("the second step", &first);
    desk.key(LEFT);
    desk.looks("the first step again", &first);

    desk.key(b' '.into());
    until("time goes on", || (!desk.title().contains("step 1 of")).then_some(()));
    desk.key(b' '.into());
    let (paused, image) = (desk.title(), desk.changes("a pause", &first));
    sleep(Duration::from_millis(300));
    assert_eq!(desk.title(), paused);
    assert!(desk.image() == image, "nothing moves in a pause");

    desk.key(END);
    desk.says("step 200 of 200 - return -200");
    desk.click((width / 2) as i16, height as i16 - 20);
    until("the middle", || {
        ["step 99 of", "step 100 of", "step 101 of"].iter().any(|s| desk.title().contains(s)).then_some(())
    });
    desk.key(HOME);
    desk.says("step 0 of");
    let place = (width as i16 / 4, height as i16 / 4);
    desk.click(place.0, place.1);
    until("a click lets time go on", || (!desk.title().contains("step 0 of")).then_some(()));
    desk.click(place.0, place.1);
    until("a second one stops it", || {
        let title = desk.title();
        sleep(Duration::from_millis(300));
        (desk.title() == title).then_some(())
    });
    assert!(!desk.title().contains("step 200 of"), "it was stopped before its end");
    desk.key(HOME);
    desk.key(RIGHT);
    desk.key(RIGHT);
    desk.looks("two steps after a jump", &second);

    for part in [u32::from(b'a'), b'g'.into(), b'n'.into(), b'r'.into(), TAB] {
        desk.key(part);
        desk.changes("a part goes", &second);
        desk.key(part);
        desk.looks("a part comes back", &second);
    }
    let shift = desk.code(SHIFT);
    desk.fake(KEY, shift, (0, 0));
    desk.key(b'/'.into());
    desk.fake(KEY + 1, shift, (0, 0));
    desk.changes("the keys are shown", &second);
    desk.key(ESCAPE);
    desk.looks("the keys are gone, and the window is not", &second);

    desk.resize(500, 380);
    until("a small window", || (desk.size() == (500, 380)).then_some(()));
    let small = desk.changes("a small picture", &[]);
    assert!(small.iter().any(|&byte| byte > 200), "the game is in it");
    desk.resize(width.into(), height.into());
    desk.looks("the old size", &second);

    desk.key(b's'.into());
    until("a picture on disk", || at.join("mountaincar-1-2.png").exists().then_some(()));
    desk.key(PAGE_DOWN);
    desk.says("game 2 of 3 - step 0");
    json(at, "record --env cartpole --random --episodes 4 --out newer.rec --json");
    desk.says("cartpole - game 1 of 4");
    desk.key(b'q'.into());
    assert!(desk.ends());
}

/// What moves an agent lies over the game, follows the steps, and goes with its key.
#[cfg(feature = "atari")]
#[test]
#[ignore = "needs Xvfb: make test-window"]
fn a_person_sees_what_moves_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--set agent.trunk=small --set agent.hidden=[32] --set agent.horizon=32 --set train.envs=2";
    json(
        at,
        &format!("--env atari/pong --agent ppo --frames 300 --quiet --json --run r {small} --set eval.max_frames=400"),
    );
    json(at, "record r --episodes 1 --outputs every:1 --out games.rec --json");
    let desk = Desk::with(at, "watch games.rec --paused");
    desk.says("step 0 of 100");
    desk.walk(3);
    let plain = desk.rests();
    desk.key(b'h'.into());
    desk.changes("nobody knows whose weights", &plain);
    desk.looks("a word on that goes", &plain);
    desk.key(b'q'.into());
    assert!(desk.ends());

    let desk = Desk::with(at, "watch games.rec --paused --run r");
    desk.key(b'h'.into());
    desk.walk(3);
    desk.looks("the same without what moves it", &plain);
    desk.key(b'h'.into());
    desk.changes("it lies over the game", &plain);
    let hot = desk.rests();
    let legend = |image: &[u8]| image.chunks_exact(4).filter(|pixel| pixel[..3] == [50, 70, 255]).count();
    assert!((legend(&plain), legend(&hot) >= 81) == (0, true), "its colours are named");
    let tinted = hot.chunks_exact(4).zip(plain.chunks_exact(4)).filter(|(hot, plain)| hot != plain).count();
    assert!(tinted > 10_000, "{tinted}");
    if let Ok(kept) = std::env::var("RL_WINDOW_PICTURES") {
        let (width, height) = desk.size();
        let rgb: Vec<u8> = hot.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let head = format!("P6 {width} {height} 255\n");
        std::fs::write(Path::new(&kept).join("saliency.ppm"), [head.as_bytes(), &rgb].concat()).unwrap();
    }
    desk.key(RIGHT);
    desk.says("step 4 of");
    desk.changes("another map", &hot);
    desk.key(LEFT);
    desk.looks("the map of before", &hot);
    desk.key(b'h'.into());
    desk.looks("it is gone", &plain);
    desk.key(b'q'.into());
    assert!(desk.ends());
}

#[test]
#[ignore = "needs Xvfb: make test-window"]
fn a_person_plays_and_the_score_is_certified() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let play = |meanwhile: Option<&str>, place: &str| {
        let desk = Desk::with(at, "play --env frozenlake --set env.slippery=false --out mine.rec");
        if let Some(text) = meanwhile {
            std::fs::write(at.join("mine.rec"), text).unwrap();
        }
        let mut image = desk.image();
        for key in [DOWN, DOWN, RIGHT, RIGHT, DOWN, RIGHT] {
            desk.key(key);
            image = desk.changes("a move", &image);
        }
        desk.says("return 1");
        until("a recording", || at.join(place).exists().then_some(()));
        desk.key(ESCAPE);
        assert!(desk.ends());
        let verdict = json(at, &format!("verify {place} --json"));
        assert_eq!((&verdict["equal"], &verdict["mean"]), (&true.into(), &1.0.into()));
        let said = String::from_utf8(output(at, &format!("verify {place}")).stdout).unwrap();
        assert!(said.contains("by a person"), "{said}");
    };
    play(None, "mine.rec");
    std::fs::remove_file(at.join("mine.rec")).unwrap();
    play(Some("of somebody else"), "mine-2.rec");
    assert_eq!(std::fs::read(at.join("mine.rec")).unwrap(), b"of somebody else");
}
