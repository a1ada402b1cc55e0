//! `list`, `bench env`, `doctor` and `fetch`: what they print, and how they end.
#![forbid(unsafe_code)]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

use common::{json, names, output, refusal, rl_run};
use serde_json::Value;

fn column(rows: &Value, key: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn check_says_what_an_environment_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let report = json(at, "check --env frozenlake --steps 100 --set env.slippery=false --json");
    assert_eq!((&report["env"], &report["ok"]), (&"frozenlake".into(), &true.into()), "{report}");
    let promises = report["promises"].as_array().unwrap();
    assert!(promises.len() >= 12 && promises.iter().all(|line| line["state"] == "kept"), "{report}");
    let shown = text(&output(at, "check --env cartpole --steps 20"));
    assert!(shown.contains("\n-       table     its table is what is played (it has none)\n"), "{shown}");
    assert!(shown.ends_with("\ncartpole (version 1) keeps what environments promise\n"), "{shown}");
    assert_eq!(refusal(at, "check --env cartpole --steps 0").0, 2);
    let unknown =
        "error: unknown key `env.wind`; [env] has max_steps, observe, sutton_barto_reward (preset env/cartpole)";
    assert_eq!(refusal(at, "check --env cartpole --set env.wind=1"), (2, unknown.to_owned()));
}

#[test]
fn lists_name_what_can_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let envs = json(at, "list envs --json");
    let names = column(&envs, "name");
    let trained = ["frozenlake", "frozenlake8x8", "cartpole", "cartpole-v0"];
    let others = ["cliffwalking", "taxi", "blackjack", "mountaincar", "mountaincar-continuous", "acrobot", "pendulum"];
    for name in trained.iter().chain(&others) {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    assert!(envs.as_array().unwrap().iter().all(|env| env["version"].as_u64() >= Some(1)));
    assert_eq!(
        column(&json(at, "list agents --json"), "name"),
        [
            "dqn",
            "rainbow",
            "c51",
            "qrdqn",
            "iqn",
            "r2d2",
            "drq",
            "pqn",
            "ppo",
            "a2c",
            "impala",
            "bc",
            "tabular",
            "alphazero"
        ]
    );
    let presets = json(at, "list presets --json");
    for agent in ["dqn", "ppo", "a2c"] {
        let of = |row: &&Value| row["agent"] == agent;
        let with: Value = presets.as_array().unwrap().iter().filter(of).cloned().collect();
        let with = column(&with, "env");
        assert!(with.iter().all(|env| names.contains(env)), "{agent}: {with:?}");
        assert!(trained.iter().all(|name| with.iter().any(|env| env == name)), "{agent}: {with:?}");
    }
    // A preset that two environments share claims something about one of them.
    let claim = |env: &str| {
        let row = presets.as_array().unwrap().iter().find(|row| row["env"] == env && row["agent"] == "ppo").unwrap();
        row["claim"].clone()
    };
    assert_eq!((claim("cartpole")["score"].as_f64(), claim("cartpole-v0").is_null()), (Some(475.0), true));
    assert_eq!((claim("taxi")["protocol"].as_str(), claim("taxi")["episodes"].as_u64()), (Some("exact"), Some(0)));
    let listed = text(&output(at, "list presets --env cartpole --agent ppo"));
    assert!(listed.starts_with("cartpole  ppo ") && listed.contains("  PPO on CartPole: the last policy "), "{listed}");
    assert!(listed.contains(" Claims 475 after 60,000 frames, 0.1 min: median of 5 seeds"), "{listed}");
    assert!(
        presets.as_array().unwrap().iter().all(|row| row["summary"].as_str().is_some_and(|text| text.ends_with('.')))
    );
    // Of all environments what games have in common is a line, and not one for each.
    let listed = text(&output(at, "list presets"));
    let lines = |with: &str| listed.lines().filter(|line| line.starts_with(with)).count();
    assert!(lines("cartpole ") > 5 && listed.lines().count() < 300, "{listed}");
    if cfg!(feature = "atari") {
        assert_eq!((lines("atari/… ") > 5, lines("atari/pong ")), (true, 0), "{listed}");
        assert!(lines("atari/kung_fu_master ") > 1, "{listed}");
    }
    // The same for people, a line each.
    let plain = text(&output(at, "list envs"));
    assert_eq!(plain.lines().count(), names.len());
    assert!(plain.contains("cartpole"), "{plain}");
    if cfg!(feature = "atari") {
        let kungfu = envs.as_array().unwrap().iter().find(|env| env["name"] == "atari/kung_fu_master").unwrap();
        assert_eq!(kungfu["aliases"][0], "kungfu");
        let protocols = ["machado18", "machado18-paper", "nature15", "noop30", "ppo17", "atari100k"];
        assert_eq!(kungfu["protocols"], Value::from(protocols.to_vec()));
        assert!(plain.contains("kungfu, atari/kung_fu_master"), "{plain}");
        // Of the presets that have a name each claims for itself.
        let named = |name: &str| {
            let mut rows = presets.as_array().unwrap().iter();
            let row = rows.find(|row| row["env"] == "atari/kung_fu_master" && row["preset"] == name).unwrap();
            row["claim"].clone()
        };
        assert_eq!((named("60min")["episodes"].as_u64(), named("480min").is_null()), (Some(100), true));
        assert_eq!(named("10min")["minutes"], 10.0);
    }
    assert_eq!(refusal(at, "list games").0, 2);
}

#[test]
fn the_settings_of_a_pair_are_listed_as_a_preset_that_can_be_changed_and_trained() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let listed = text(&output(at, "list settings --env cartpole --agent ppo"));
    assert!(listed.contains("# discount per agent step") && !listed.contains("[claim]"), "{listed}");
    let of = |line: &str| column(&json(at, &format!("list presets --json {line}")), "agent");
    let both = of("--env frozenlake --agent dqn");
    assert_eq!(both, ["dqn"]);
    assert!(of("--env frozenlake").len() > 2);
    std::fs::write(at.join("mine.toml"), listed.replace("gamma = 0.98", "gamma = 0.97")).unwrap();
    let trained = "--env cartpole --agent ppo --preset mine.toml --frames 1 --run r --quiet";
    assert!(output(at, trained).status.success());
    let settings = std::fs::read_to_string(at.join("r/run.toml")).unwrap();
    assert!(settings.contains("gamma = 0.97"), "{settings}");
    for (line, said) in [
        ("--env taxi --agent iqn", "agent `iqn` has no preset for `taxi` (it has presets for cartpole, "),
        ("--env pendulum --agent dqn", "agent `dqn` cannot play `pendulum`: "),
        ("--env cliffwalking-slippery", "no agent has a preset for `cliffwalking-slippery`"),
    ] {
        let done = output(at, &format!("list presets {line} --json"));
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && told.starts_with(said) && told.lines().count() == 1, "{line}: {told}");
        assert_eq!(text(&done), "[]\n", "{line}");
    }
    let all = json(at, "list settings --env cartpole --agent ppo --json");
    assert_eq!((all["agent"]["gamma"].as_f64(), all["env"].is_object()), (Some(0.98), true));
    assert!(json(at, "list settings --env taxi --json").get("agent").is_none());
    for (line, why) in [
        ("list settings", "name --env"),
        ("list envs --env cartpole", "--env and --agent choose among presets and settings"),
        ("list settings --env cartpole --agent ppo --preset 10min", "10min"),
    ] {
        let (code, said) = refusal(at, line);
        assert!(code == 2 && said.contains(why), "{line}: {said}");
    }
}

/// Every table of a `kind` that docs/agents.md shows makes a run; `augment` wants frames, which cost a game.
#[test]
fn the_tables_that_documents_show_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agents.md");
    let document = std::fs::read_to_string(document).unwrap();
    let mut made = 0;
    for row in document.lines().filter(|line| line.starts_with("| `agent.")) {
        let (key, shown) = row.trim_start_matches("| `").split_once('`').unwrap();
        let agent = if row.contains("`ppo`") { "ppo" } else { "dqn" };
        for table in shown.split('`').filter(|text| text.starts_with("{kind=") && !text.contains("shift")) {
            let smaller = [("units=512", "units=8"), ("steps=80", "steps=4"), ("=40", "=1")];
            let table = smaller.iter().fold(table.to_owned(), |table, (of, by)| table.replace(of, by));
            let mut command =
                rl_run(dir.path(), &format!("--env cartpole --agent {agent} --frames 1 --run r{made} --quiet"));
            if agent == "dqn" {
                command.args([
                    "--set",
                    "agent.learning_starts=50",
                    "--set",
                    "agent.batch=4",
                    "--set",
                    "agent.double=false",
                ]);
            }
            let done = command.args(["--set", &format!("{key}={table}")]).output().unwrap();
            assert!(done.status.success(), "{key} = {table}: {}", String::from_utf8_lossy(&done.stderr));
            made += 1;
        }
    }
    assert!(made >= 12, "{made}");
}

#[test]
fn the_bench_counts_steps_frames_and_resets() {
    let dir = tempfile::tempdir().unwrap();
    let line = "bench env --env frozenlake --envs 6 --threads 2 --seconds 0.05 --set env.max_steps=4";
    let report = json(dir.path(), &format!("{line} --json"));
    assert_eq!((report["env"].as_str(), report["envs"].as_u64()), (Some("frozenlake"), Some(6)));
    let number = |key: &str| report[key].as_f64().unwrap();
    let (steps, frames) = (number("env_steps_per_s") * number("seconds"), number("frames_per_s") * number("seconds"));
    assert_eq!(steps.round(), frames.round(), "a frame a step");
    // Episodes of at most four steps: a seat resets in every fifth row, or more often.
    assert!(number("resets") >= (steps / 4.0).floor() - 6.0, "{report}");
    let plain = text(&output(dir.path(), line));
    assert!(plain.starts_with("frozenlake, 6 seats in 2 threads: "), "{plain}");
    for (wrong, why) in [
        ("frozenlake --envs 2 --threads 3", "--threads 3 is more than --envs 2"),
        ("frozenlake --seconds 0", "'0' for '--seconds <SECONDS>': expected a number above 0"),
        ("frozenlake --envs 4294967295", "4294967295 is not in 1..=65536"),
        ("doom/multi_duel --envs 3", "--envs 3: 2 seats of doom/multi_duel share a world"),
        ("doom/multi_duel --envs 2 --threads 2", "--threads 2 is more than --envs 2, of which 2 share a world"),
    ] {
        let (code, said) = refusal(dir.path(), &format!("bench env --env {wrong}"));
        assert!(code == 2 && said.contains(why), "{said}");
    }
}

/// `doctor` on a machine where no asset was fetched.
#[test]
fn doctor_says_what_is_missing_and_how_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let mut run = rl_run(dir.path(), line);
        run.env("RL_ASSETS", dir.path().join("assets")).env("DISPLAY", "").env_remove("WAYLAND_DISPLAY");
        run.output().unwrap()
    };
    let output = run("doctor --json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}"));
    for name in [
        "rl-run",
        "processor",
        "memory",
        "disk for runs",
        "assets",
        "python for fetch",
        "rust",
        "c++",
        "cuda",
        "gamepad",
        "sound",
    ] {
        assert!(!check(name)["found"].as_str().unwrap().is_empty(), "{name}");
    }
    let window = check("window");
    let why = if cfg!(feature = "viewer") { "no display" } else { "not compiled in" };
    assert!(window["state"] == "warning" && window["found"].as_str().unwrap().starts_with(why), "{window}");
    assert_eq!(
        (&check("asset ale")["state"], &check("asset ale")["mend"]),
        (&"warning".into(), &"rl-run fetch ale".into())
    );
    // The program lacks what it exists for where there are no ROMs; without Atari it can do all that it knows.
    let opened = check(if cfg!(feature = "atari") { "open kungfu" } else { "open frozenlake" });
    if cfg!(feature = "atari") {
        assert_eq!(
            (&opened["state"], &report["ok"], output.status.code()),
            (&"missing".into(), &false.into(), Some(1))
        );
        assert!(opened["mend"].as_str().unwrap().contains("rl-run fetch ale"), "{opened}");
    } else {
        assert_eq!((&opened["state"], &report["ok"], output.status.code()), (&"ok".into(), &true.into(), Some(0)));
    }
    let plain = run("doctor");
    assert_eq!(plain.status.code(), output.status.code());
    assert!(text(&plain).contains("-> rl-run fetch ale"), "{}", text(&plain));
    assert_eq!(names(dir.path()), [""; 0], "looking changes nothing");
    // Without a place for the cache there is nothing to fetch to.
    let mut homeless = rl_run(dir.path(), "doctor");
    homeless.env_remove("RL_ASSETS").env_remove("XDG_CACHE_HOME").env_remove("HOME");
    let said = text(&homeless.output().unwrap());
    let mends = said.lines().filter(|line| line.contains("-> set RL_ASSETS to a directory that you may write to"));
    let lacking = if cfg!(feature = "atari") { 4 } else { 3 }; // the cache, two assets, and the game
    assert!(mends.count() == lacking && !said.contains("rl-run fetch"), "{said}");
    // What the system says is said in our words.
    std::fs::create_dir_all(dir.path().join("assets/ale-0.12.1/.sha256sums")).unwrap();
    let said = text(&run("doctor"));
    assert!(said.contains("/.sha256sums: it is a directory; ") && !said.contains("(os error"), "{said}");
}

/// What bash offers for the last of these words.
fn offered(script: &str, words: &[&str]) -> Vec<String> {
    let quoted = shlex::try_join(words.iter().copied()).unwrap();
    let (at, word, before) = (words.len() - 1, words[words.len() - 1], words[words.len() - 2]);
    let ask = format!(
        "{script}\nCOMP_WORDS=({quoted}) COMP_CWORD={at}; _rl__run rl-run '{word}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let done = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    text(&done).lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_commands_flags_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let script = text(&output(dir.path(), "completions bash"));
    for (words, expected) in [
        (&["rl-run", "--env", "frozenlake"][..], &["frozenlake", "frozenlake8x8"][..]),
        (&["rl-run", "--env", "cartpole", "--agent", "rai"], &["rainbow"]),
        (&["rl-run", "bench", "train", "--agent", "drq"], &["drq"]),
        (&["rl-run", "comp"], &["completions"]),
        (&["rl-run", "eval", "--ex"], &["--exact"]),
        (&["rl-run", "eval", "--model", "kung"], &["kungfu"]),
        (&["rl-run", "--precision", "b"], &["bf16"]),
        (&["rl-run", "resume", "--device", "cu"], &["cuda"]),
    ] {
        let offered = offered(&script, words);
        assert!(expected.iter().all(|word| offered.iter().any(|said| said == word)), "{words:?}: {offered:?}");
        assert!(offered.iter().all(|said| said.starts_with(words[words.len() - 1])), "{words:?}: {offered:?}");
    }
    for (shell, names) in [("zsh", true), ("fish", true), ("elvish", false), ("powershell", false)] {
        let script = text(&output(dir.path(), &format!("completions {shell}")));
        let has = |word: &str| script.contains(word);
        assert!(has("exact") && has("completions") && has("frozenlake8x8") == names, "{script}");
    }
    let (code, said) = refusal(dir.path(), "completions");
    assert!(code == 2 && said.contains("name a shell, such as bash"), "{said}");
}

#[test]
fn fetch_lists_assets_and_refuses_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let assets = dir.path().join("assets");
    let output = rl_run(dir.path(), "fetch --list --json").env("RL_ASSETS", &assets).output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ale = rows.as_array().unwrap().iter().find(|row| row["name"] == "ale").unwrap();
    assert_eq!((ale["version"].as_str(), ale["path"].as_str()), (Some("0.12.1"), None));
    assert_eq!(ale["sha256"].as_str().unwrap().len(), 64);
    std::fs::create_dir_all(assets.join("ale-0.12.1")).unwrap();
    let plain = rl_run(dir.path(), "fetch --list").env("RL_ASSETS", &assets).output().unwrap();
    let lines = [
        format!("ale 0.12.1: {}", assets.join("ale-0.12.1").display()),
        "vizdoom 1.3.2: not fetched (38 MB;".to_owned(),
    ];
    assert_eq!(text(&plain).lines().count(), lines.len(), "{}", text(&plain));
    assert!(text(&plain).lines().zip(&lines).all(|(line, expected)| line.starts_with(expected)), "{}", text(&plain));
    let odd = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir_all(odd.join("ale-0.12.1")).unwrap();
    let output = rl_run(dir.path(), "fetch --list --json").env("RL_ASSETS", &odd).output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows[0]["path"].as_str().unwrap().ends_with("/caf\u{fffd}/ale-0.12.1"), "{rows}");
    let (code, said) = refusal(dir.path(), "fetch ala");
    assert!(code == 2 && said.contains("no asset is called ala"), "{said}");
    assert_eq!(refusal(dir.path(), "fetch").0, 2);
}

#[test]
fn fetch_checks_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("ale-0.12.1");
    std::fs::create_dir(&place).unwrap();
    let fetch = || rl_run(dir.path(), "fetch ale").env("RL_ASSETS", dir.path()).output().unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    // What an earlier version unpacked has no list of hashes.
    let output = fetch();
    assert!(output.status.success() && said(&output).contains("--force"), "{}", said(&output));
    std::fs::write(place.join("rom.bin"), "abc").unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, appendix B.1
    std::fs::write(place.join(".sha256sums"), format!("{abc}  rom.bin\n")).unwrap();
    let output = fetch();
    assert!(output.status.success() && said(&output).contains("as they were unpacked"), "{}", said(&output));
    std::fs::write(place.join("rom.bin"), "abd").unwrap();
    let output = fetch();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
    assert!(
        said(&output).contains("rom.bin") && said(&output).contains("rl-run fetch ale --force"),
        "{}",
        said(&output)
    );
}

/// No index answers at the port that nobody may listen on without being root.
#[test]
fn a_fetch_without_a_network_says_so_in_one_line_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let offline = |command: &mut Command| {
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_RETRIES", "0").env("PIP_NO_CACHE_DIR", "1");
        command.env("PIP_INDEX_URL", "http://127.0.0.1:1/simple").env("RL_ASSETS", dir.path()).output().unwrap()
    };
    let output = offline(rl_run(dir.path(), "fetch ale --force").env_remove("PIP_EXTRA_INDEX_URL"));
    let said = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((output.status.code(), output.stdout.is_empty(), errors.len()), (Some(1), true, 1), "{said}");
    assert!(errors[0].contains("is the package index reachable?") && errors[0].ends_with("rl-run fetch ale"), "{said}");
    assert!(said.lines().all(|line| line.starts_with("error: ") || line.starts_with("ale: ")), "{said}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_result_that_finds_no_room_is_an_error_and_a_reader_that_left_is_none() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["list envs --json", "solve --env frozenlake --json", "--help", "--version"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let done = rl_run(dir.path(), line).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(1) && said.starts_with("error: stdout: no space is left"), "{line}: {said}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = rl_run(dir.path(), line).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{line}: {done:?}");
    }
}
