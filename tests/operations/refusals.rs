//! A configuration that is not sound: exit code 2, the fault in words, nothing started, nothing written.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::rig::{Folder, USERS_OWN, run_to_end};

const SECRETS: &str = "BINANCE_API_KEY=kkkk1111kkkk1111\nBINANCE_SECRET=ssss2222ssss2222\n";

/// A run that must be refused. Every peer and the ops port are one address that is taken: a program that opened a port
/// would end with another code, one that connected would be seen.
fn refused(name: &str, config: &str, env: (&str, u32), mode: &str) -> String {
    let folder = Folder::new(name);
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = trap.local_addr().expect("bound");
    let peers = format!(
        "[endpoints]\nbinance_rest = \"http://{addr}\"\nbinance_stream = \"ws://{addr}\"\n\
         binance_ws_api = \"ws://{addr}/ws-api/v3\"\nsolana_ws = \"ws://{addr}/solana\"\n\
         defillama = \"http://{addr}/llama\"\n[ops]\nlisten = \"{addr}\"\n"
    );
    folder.write("config.toml", &format!("{config}{peers}"), 0o644);
    folder.write(".env", env.0, env.1);
    let ended = run_to_end(&folder, &["run", "--config", "config.toml", "--mode", mode, "--data-dir", "data"]);
    assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{name}: nothing runs, so nothing is logged");
    trap.set_nonblocking(true).expect("a socket");
    assert!(trap.accept().is_err(), "{name}: it connected to somebody");
    let mut left: Vec<_> = folder
        .0
        .read_dir()
        .expect("ours")
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("ours"))
        .collect();
    left.sort();
    assert_eq!(left, [".env", "config.toml"], "{name}: something was written");
    for secret in ["kkkk1111", "ssss2222"] {
        assert!(!ended.stderr.contains(secret), "{name}: a secret is shown: {}", ended.stderr);
    }
    ended.stderr
}

#[test]
fn the_users_own_file_is_sound_as_it_is() {
    let folder = Folder::new("own");
    folder.write("config.toml", USERS_OWN, 0o644);
    let ended = run_to_end(&folder, &["check", "--offline", "--config", "config.toml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = [
        "config: sound",
        "mode: paper",
        "values.risk.stop_loss: 155",
        "values.thresholds.meme_drop_pct: 0.3",
        "values.execution.tranche_window: 3h",
        "values.execution.on_stop: protect",
    ];
    for line in told {
        assert!(ended.stdout.lines().any(|told| told == line), "{line} is not told:\n{}", ended.stdout);
    }
    let json = run_to_end(&folder, &["check", "--offline", "--json", "--config", "config.toml"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).expect("one JSON object");
    assert_eq!(report["values"]["thresholds.rsi_max"], "45");
    assert_eq!(folder.0.read_dir().expect("ours").count(), 1, "check writes nothing");
}

#[test]
fn an_unsound_configuration_ends_with_2_and_names_line_key_value_and_what_is_allowed() {
    let swap = |from: &str, to: &str| {
        assert!(USERS_OWN.contains(from), "{from}");
        USERS_OWN.replace(from, to)
    };
    let cases = [
        (
            "misspelt",
            swap("rsi_max ", "rsi_maks "),
            "config.toml:9: thresholds.rsi_maks: unknown key; did you mean `thresholds.rsi_max`?",
        ),
        (
            "type",
            swap("rsi_max       = 45", "rsi_max = \"low\""),
            "config.toml:9: thresholds.rsi_max = \"low\": wrong type",
        ),
        (
            "band",
            swap("support_low   = 160", "support_low = 163"),
            "config.toml:10: thresholds.support_low = 163: must not be above thresholds.support_high (162)",
        ),
        (
            "stop",
            swap("stop_loss      = 155", "stop_loss = 165"),
            "config.toml:14: risk.stop_loss = 165: must be below thresholds.support_low (160)",
        ),
        (
            "window",
            format!("{USERS_OWN}[execution]\ntranche_window = \"0s\"\n"),
            "config.toml:16: execution.tranche_window = \"0s\": out of range; allowed: above 0, at most 1d",
        ),
        (
            "range",
            swap("meme_drop_pct = 0.30", "meme_drop_pct = 30"),
            "thresholds.meme_drop_pct = 30: out of range; allowed: ",
        ),
        ("syntax", swap("stop_loss      = 155", "stop_loss == 155"), "config.toml:14: not valid TOML"),
    ];
    for (name, config, told) in cases {
        let stderr = refused(name, &config, (SECRETS, 0o600), "paper");
        assert!(stderr.contains(told), "{name}: {stderr}");
    }
}

#[test]
fn secrets_that_others_may_read_or_that_are_missing_end_with_2() {
    let exposed = refused("exposed", USERS_OWN, (SECRETS, 0o644), "paper");
    assert!(exposed.contains(".env: readable by others (mode 644)") && exposed.contains("chmod 600"), "{exposed}");
    let missing = refused("missing", USERS_OWN, ("BINANCE_API_KEY=kkkk1111kkkk1111\n", 0o600), "live");
    assert!(missing.contains("exchange.binance_sec: the variable is not set"), "{missing}");
    assert!(missing.contains("add a line `BINANCE_SECRET=...` to .env"), "{missing}");
    let garbage =
        "BINANCE_API_KEY=k\nBINANCE_SECRET='-----BEGIN PRIVATE KEY-----\\nssss2222\\n-----END PRIVATE KEY-----'\n";
    let typed = USERS_OWN.replace("[symbols]", "binance_key_type = \"ed25519\"\n[symbols]");
    let unusable = refused("unusable", &typed, (garbage, 0o600), "live");
    assert!(unusable.contains("exchange.binance_sec"), "{unusable}");
}

#[test]
fn bad_usage_ends_with_2_and_says_how_to_use_it() {
    let folder = Folder::new("usage");
    for args in [&["trade"][..], &["run", "--mode", "real"], &["run", "--config"], &["decode"]] {
        let ended = run_to_end(&folder, args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("--help"), "{args:?}: {}", ended.stderr);
    }
    let none = run_to_end(&folder, &["run", "--config", "none.toml"]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("none.toml: cannot be read"), "{}", none.stderr);
    for verb in ["run", "demo", "sim", "check", "decode", "status"] {
        let help = run_to_end(&folder, &[verb, "--help"]);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("Example"), "{verb} --help shows no example");
    }
    let mode = folder.0.metadata().expect("ours").permissions().mode();
    assert_eq!(folder.0.read_dir().expect("ours").count(), 0, "nothing is written (folder mode {mode:o})");
}
