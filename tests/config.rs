//! The configuration through its front door: what loads, what is refused and in which words.
//!
//! Thread: test.  Invariants: no network; files live in a directory of their own per test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use sol_volume_bot::config::{self, Config, Env, Mode, Sources};
use sol_volume_bot::types::event::VolumeDefinition;
use sol_volume_bot::types::{ParamKey, Price, Ratio, StreamId};

const USERS_OWN: &str = r#"
[exchange]
binance_key  = "BINANCE_API_KEY"      # the NAME of the variable in .env, never the secret
binance_sec  = "BINANCE_SECRET"
[symbols]
spot = "SOLUSDT"
hedge = "SOLUSD_PERP"
[thresholds]
meme_drop_pct = 0.30
rsi_max       = 45
support_low   = 160
support_high  = 162
[risk]
max_trade_risk = 0.05
stop_loss      = 155
"#;

fn parse(text: &str) -> Result<Config, String> {
    config::parse(text, "config.toml", &Env::default()).map_err(|errors| errors.to_string())
}

fn shadowed(pairs: &[(&str, &str)]) -> Result<Config, String> {
    config::parse(USERS_OWN, "config.toml", &Env::of_pairs(pairs)).map_err(|errors| errors.to_string())
}

/// A directory that goes away with the test.
struct Dir(PathBuf);
impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("svb_config_{name}_{}", std::process::id()));
        fs::create_dir_all(&path).expect("temporary directory");
        Dir(path)
    }
    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        path
    }
}
impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_users_own_file_loads_unchanged() {
    let config = parse(USERS_OWN).expect("loads");
    let p = &config.params;
    assert_eq!(config.mode, Mode::Paper);
    assert_eq!(p.meme_drop, Ratio(30_000_000));
    assert_eq!(p.rsi_max, Ratio(45 * 100_000_000));
    assert_eq!((p.support_low, p.support_high), (Price(160 * 100_000_000), Price(162 * 100_000_000)));
    assert_eq!((p.max_trade_risk, p.stop_loss), (Ratio(5_000_000), Price(155 * 100_000_000)));
    assert_eq!((p.tranches, p.tranche_window_ns), (3, 3 * 3_600 * 1_000_000_000));
    assert_eq!((p.tp1_price, p.tp1_above, p.tp2_above), (Price(0), Ratio(2_000_000), Ratio(4_000_000)));
    assert_eq!((p.meme_recover, p.rsi_exit, p.max_hold_ns), (Ratio(i64::MIN), Ratio(i64::MAX), 0));
    assert_eq!((config.candle.name, config.rsi_period), ("5m", 14));
    assert_eq!(config.feeds.volume_source, VolumeDefinition::Rolling24);
    assert_eq!((p.meme_drop_sol, p.confirmations_min, p.confirm_drop), (Ratio(20_000_000), 1, Ratio(10_000_000)));
    assert_eq!((p.stale_volume_ns, p.stale_confirm_ns), (600_000_000_000, 3_600_000_000_000));
    assert_eq!(config.feeds.stale_after.of(StreamId::BinanceCandle), 630_000_000_000);
}

#[test]
fn the_shipped_file_shows_every_key_with_its_default() {
    let shipped = parse(include_str!("../config/config.toml")).expect("loads");
    let users = parse(USERS_OWN).expect("loads");
    assert_eq!(shipped, users, "a value in config/config.toml differs from the default");
    let text = include_str!("../config/config.toml");
    for path in shipped.effective.keys() {
        let key = path.rsplit('.').next().expect("a key");
        let named = text.lines().any(|line| line.trim_start_matches(['#', ' ']).split(['=', ' ']).next() == Some(key));
        assert!(named, "config/config.toml does not mention {path}");
    }
}

#[test]
fn values_are_shown_as_a_person_writes_them() {
    let shown = parse(USERS_OWN).expect("loads").effective;
    for (key, text) in [
        ("risk.stop_loss", "155"),
        ("risk.max_trade_risk", "0.05"),
        ("risk.slippage_window", "5m"),
        ("execution.tranche_window", "3h"),
        ("thresholds.candle", "5m"),
        ("thresholds.rsi_exit", "off"),
        ("exchange.binance_key", "BINANCE_API_KEY"),
        ("alerts.slack_webhook", "not set"),
    ] {
        assert_eq!(shown.get(key).map(String::as_str), Some(text), "{key}");
    }
}

#[test]
fn money_is_read_from_the_literals_text_and_never_rounded() {
    let with = |value: &str| parse(&USERS_OWN.replace("support_low   = 160", &format!("support_low = {value}")));
    for (literal, parts) in [
        ("160.5", 16_050_000_000),
        ("\"160.5\"", 16_050_000_000),
        ("160.10000001", 16_010_000_001),
        ("1_60.000_000_01", 16_000_000_001),
        ("+160.0", 16_000_000_000),
    ] {
        assert_eq!(with(literal).expect(literal).params.support_low, Price(parts), "{literal}");
    }
    for literal in ["160.100000001", "1.6e2", "nan", "inf", "0xa0", "true", "[160]", "1979-05-27", "-160", "0"] {
        let error = with(literal).expect_err(literal);
        assert!(error.contains("config.toml:11: thresholds.support_low = "), "{literal}: {error}");
        assert!(error.contains("allowed: "), "{literal}: {error}");
    }
}

#[test]
fn shares_may_be_fractions_or_percents_and_targets_prices_or_gains() {
    let with = |line: &str| parse(&format!("{USERS_OWN}\n[execution]\n{line}"));
    assert_eq!(with("tp1_share = \"33.3%\"").expect("percent").params.tp1_share, Ratio(33_300_000));
    let fixed = with("take_profit_1 = 165.25\ntake_profit_2 = \"170\"").expect("prices").params;
    assert_eq!((fixed.tp1_price, fixed.tp1_above), (Price(16_525_000_000), Ratio(0)));
    assert_eq!(fixed.tp2_price, Price(17_000_000_000));
    let gain = with("take_profit_2 = \"+7.25%\"").expect("gain").params;
    assert_eq!((gain.tp2_price, gain.tp2_above), (Price(0), Ratio(7_250_000)));
    for line in ["take_profit_1 = \"4%\"", "take_profit_1 = \"+4\"", "take_profit_1 = \"+0%\"", "take_profit_1 = -3"] {
        assert!(with(line).expect_err(line).contains("or a gain such as \"+4%\""), "{line}");
    }
}

#[test]
fn every_bad_value_is_refused_with_line_key_value_and_what_is_allowed() {
    let cases = [
        ("[thresholds]", "meme_drop_pct = 30", "thresholds.meme_drop_pct = 30", "above 0 and below 1"),
        ("[thresholds]", "rsi_max = 0", "thresholds.rsi_max = 0", "above 0, at most 100"),
        ("[thresholds]", "rsi_max = \"low\"", "thresholds.rsi_max = \"low\"", "plain decimal number"),
        ("[thresholds]", "rsi_period = 14.5", "thresholds.rsi_period = 14.5", "without decimals"),
        ("[thresholds]", "candle = \"7m\"", "thresholds.candle = \"7m\"", "\"1s\", \"1m\""),
        (
            "[thresholds]",
            "support_low = 163",
            "thresholds.support_low = 163",
            "must not be above thresholds.support_high (162)",
        ),
        ("[risk]", "stop_loss = 165", "risk.stop_loss = 165", "must be below thresholds.support_low (160)"),
        ("[risk]", "news_lock = \"no\"", "risk.news_lock = \"no\"", "true or false"),
        ("[risk]", "max_trade_risk = 5", "risk.max_trade_risk = 5", "at most 1"),
        ("[execution]", "tranche_window = \"0s\"", "execution.tranche_window = \"0s\"", "above 0, at most 1d"),
        ("[execution]", "tranche_window = 3", "execution.tranche_window = 3", "duration in quotes"),
        ("[execution]", "tranches = 0", "execution.tranches = 0", "from 1 to 20"),
        ("[execution]", "tp1_share = 0", "execution.tp1_share = 0", "above 0, at most 1"),
        ("[execution]", "tranche_tif = \"GTC\"", "execution.tranche_tif = \"GTC\"", "\"IOC\", \"FOK\""),
        (
            "[execution]",
            "take_profit_1 = 161",
            "execution.take_profit_1 = 161",
            "must be above thresholds.support_high (162)",
        ),
        (
            "[execution]",
            "take_profit_2 = \"+1%\"",
            "execution.take_profit_2 = \"+1%\"",
            "must not be below execution.take_profit_1",
        ),
        (
            "[endpoints]",
            "binance_rest = \"http://api.binance.com\"",
            "endpoints.binance_rest = ",
            "http:// for loopback only",
        ),
        ("[endpoints]", "solana_ws = \"https://a.example\"", "endpoints.solana_ws = ", "a wss:// URL"),
        ("[ops]", "listen = \"0.0.0.0:9464\"", "ops.listen = \"0.0.0.0:9464\"", "ops.token must name the variable"),
        ("[ops]", "listen = \"9464\"", "ops.listen = \"9464\"", "127.0.0.1:9464"),
        ("[threads]", "layout = \"four\"\ncores = [0, 1]", "threads.cores = [0, 1]", "needs 4"),
        ("[threads]", "cores = [1, 1]", "threads.cores = [1, 1]", "names a core twice"),
        ("[feeds]", "volume_source = \"weekly\"", "feeds.volume_source = \"weekly\"", "\"rolling24\""),
        ("[feeds]", "chain_scope = \"off\"", "feeds.chain_scope = \"off\"", "counts on it"),
        ("[feeds]", "optional = [\"binance_bbo\"]", "feeds.optional = ", "names of streams"),
        ("[feeds]", "kraken_book_depth = 11", "feeds.kraken_book_depth = 11", "10 or 25"),
        ("[risk]", "dex_divergence_pct = 0.6", "risk.dex_divergence_pct = 0.6", "from 0 (not watched) to 0.5"),
        ("[thresholds]", "meme_drop_sol_pct = 1", "thresholds.meme_drop_sol_pct = 1", "from 0 (off) to below 1"),
        ("[thresholds]", "confirmations_min = 4", "thresholds.confirmations_min = 4", "from 0 to 3"),
        ("[thresholds]", "confirmations_min = 3", "thresholds.confirmations_min = 3", "set endpoints.pumpfun"),
        ("[feeds]", "volume_source = \"sampled24\"", "feeds.volume_source = \"sampled24\"", "needs endpoints.pumpfun"),
        ("[feeds]", "nats = \"nats://10.0.0.1:4222\"", "feeds.nats = ", "nats:// for loopback only"),
        ("[feeds]", "nats = \"nats://127.0.0.1:4222/x\"", "feeds.nats = ", "no user name, password or path"),
        ("[feeds]", "nats = \"http://127.0.0.1:4222\"", "feeds.nats = ", "a tls:// URL"),
        ("[feeds]", "nats_subject = \"svb.*\"", "feeds.nats_subject = ", "words of letters"),
        ("[feeds]", "nats_token = \"s3cret\"", "feeds.nats_token", "the NAME of a variable"),
        ("[feeds]", "nats_streams = [\"defilama\"]", "feeds.nats_streams = ", "did you mean `defillama`?"),
        ("[feeds]", "nats_streams = [\"binance_user\"]", "feeds.nats_streams = ", "no stream that comes over a bus"),
        ("[feeds.stale_after_ms]", "binance_bbo = 0", "feeds.stale_after_ms.binance_bbo = 0", "from 100 to"),
        ("[alerts]", "telegram_token = \"TG\"", "alerts.telegram_token = \"TG\"", "needs alerts.telegram_chat too"),
        ("[alerts]", "on = [\"ENTRE\"]", "alerts.on = [\"ENTRE\"]", "any of \"ENTER\""),
    ];
    for (table, line, shown, allowed) in cases {
        let key = line.split(' ').next().expect("key");
        let without: Vec<&str> = USERS_OWN.lines().filter(|kept| kept.split([' ', '=']).next() != Some(key)).collect();
        let text = without.join("\n");
        let text = if text.contains(table) {
            text.replace(table, &format!("{table}\n{line}"))
        } else {
            format!("{text}\n{table}\n{line}")
        };
        let error = parse(&text).expect_err(line);
        assert!(error.starts_with("config.toml:"), "{line}: {error}");
        assert!(error.contains(shown), "{line}: {error}");
        assert!(error.contains(allowed), "{line}: {error}");
    }
}

#[test]
fn the_bus_is_off_unless_it_is_named_and_then_brings_the_volumes() {
    let off = parse(USERS_OWN).expect("sound").feeds;
    assert_eq!(off.bus, None);
    assert!(!off.is_from_bus(StreamId::DefiLlama), "without a server every stream has its own endpoint");
    let named = |more: &str| parse(&format!("{USERS_OWN}\n[feeds]\nnats = \"nats://127.0.0.1:4222\"\n{more}"));
    let bus = named("").expect("sound").feeds.bus.expect("on");
    assert_eq!((bus.url.as_str(), bus.subject.as_str(), bus.token), ("nats://127.0.0.1:4222", "svb", None));
    let volumes = [StreamId::DefiLlama, StreamId::PumpFun, StreamId::CoinGecko, StreamId::PumpChain];
    assert_eq!(bus.streams, volumes);
    let pump = named("volume_source = \"sampled24\"").expect("its volume comes over the bus");
    assert!(pump.endpoints.pumpfun.is_none() && pump.feeds.is_from_bus(StreamId::PumpFun));
    let shown = parse(&format!("{USERS_OWN}\n[feeds]\nnats = \"nats://me:hunter2@127.0.0.1\"")).expect_err("refused");
    assert!(!shown.contains("hunter2") && shown.contains("(not shown)@127.0.0.1"), "{shown}");
}

#[test]
fn prices_of_the_venue_come_over_the_bus_in_paper_mode_only_whoever_says_the_mode() {
    let dir = Dir::new("bus_mode");
    for stream in ["binance_bbo", "binance_trade", "binance_candle"] {
        let bus = format!("[feeds]\nnats = \"tls://bus.example:4222\"\nnats_streams = [\"{stream}\", \"defillama\"]");
        let config = dir.write("config.toml", &format!("{USERS_OWN}\n{bus}"), 0o644);
        let env = dir.write(".env", "BINANCE_API_KEY=a\nBINANCE_SECRET=b\n", 0o600);
        let from = |mode| Sources { config: config.clone(), env_file: Some(env.clone()), mode, data_dir: None };
        assert!(config::load(&from(None)).is_ok(), "{stream} on paper");
        let error = config::load(&from(Some(Mode::Live))).expect_err("refused").to_string();
        assert!(error.contains(&format!("feeds.nats_streams = [\"{stream}\"")), "{error}");
        assert!(error.contains(&format!("`{stream}` cannot come over a bus in live mode")), "{error}");
    }
}

#[test]
fn in_live_mode_whoever_writes_to_the_bus_cannot_trigger_and_confirm_alike() {
    let dir = Dir::new("bus_hands");
    let env = dir.write(".env", "BINANCE_API_KEY=a\nBINANCE_SECRET=b\n", 0o600);
    let load = |streams: &str, mode: Mode| {
        let bus = format!(
            "[feeds]\nvolume_source = \"utc_day\"\nnats = \"tls://bus.example:4222\"\nnats_streams = [{streams}]"
        );
        let config = dir.write("config.toml", &format!("{USERS_OWN}\n{bus}"), 0o644);
        let from = Sources { config, env_file: Some(env.clone()), mode: Some(mode), data_dir: None };
        config::load(&from).map(|_| ()).map_err(|error| error.to_string())
    };
    let all = "\"defillama\", \"coingecko\", \"pump_chain\", \"pumpfun\"";
    assert_eq!(load(all, Mode::Paper), Ok(()));
    assert_eq!(load("\"defillama\"", Mode::Live), Ok(()), "others confirm");
    assert_eq!(load("\"coingecko\", \"pump_chain\"", Mode::Live), Ok(()), "the trigger is read by us");
    let error = load(all, Mode::Live).expect_err("refused");
    assert!(error.contains("`defillama` triggers and comes over the bus"), "{error}");
}

#[test]
fn the_token_of_the_bus_must_be_there_if_it_is_named_and_the_bus_is_on() {
    let dir = Dir::new("bus_token");
    let env = dir.write(".env", "OTHER=x\n", 0o600);
    let load = |nats: &str| {
        let text = format!("{USERS_OWN}\n[feeds]\n{nats}nats_token = \"NATS_TOKEN\"");
        let config = dir.write("config.toml", &text, 0o644);
        let from = Sources { config, env_file: Some(env.clone()), mode: None, data_dir: None };
        config::load(&from).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(load(""), Ok(()));
    let error = load("nats = \"nats://localhost:4222\"\n").expect_err("refused");
    assert!(error.contains("feeds.nats_token") && error.contains("NATS_TOKEN=..."), "{error}");
}

#[test]
fn an_unknown_key_or_table_is_refused_with_the_nearest_known_name() {
    let misspelt = parse(&USERS_OWN.replace("rsi_max ", "rsi_maks ")).expect_err("refused");
    assert!(misspelt.contains("thresholds.rsi_maks: unknown key; did you mean `thresholds.rsi_max`?"), "{misspelt}");
    let misplaced = parse(&format!("{USERS_OWN}\nrsi_exit = 70")).expect_err("refused");
    assert!(misplaced.contains("risk.rsi_exit: unknown key; did you mean `thresholds.rsi_exit`?"), "{misplaced}");
    let table = parse(&format!("{USERS_OWN}\n[exekution]\ntranches = 4")).expect_err("refused");
    assert!(table.contains("config.toml:17: [exekution]: unknown key; did you mean `execution`?"), "{table}");
    let shadow = shadowed(&[("RISK__STOP_LOS", "154")]).expect_err("refused");
    assert!(
        shadow.contains("variable RISK__STOP_LOS: risk.stop_los: unknown key; did you mean `risk.stop_loss`?"),
        "{shadow}"
    );
}

#[test]
fn all_faults_are_told_at_once_in_file_order() {
    let text = "[thresholds]\nmeme_drop_pct = 2\nrsi_max = 45\nsupport_low = 160\n[risk]\nmax_trade_risk = 0\nstop_los = 155\n";
    let error = parse(text).expect_err("refused");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 5, "{error}");
    assert!(lines[0].starts_with("config.toml:2: thresholds.meme_drop_pct = 2: out of range"));
    assert!(lines[1].starts_with("config.toml:6: risk.max_trade_risk = 0: out of range"));
    assert!(lines[2].starts_with("config.toml:7: risk.stop_los: unknown key"));
    assert!(error.contains("thresholds.support_high: missing; add it, for example `support_high = 162`"));
    assert!(error.contains("risk.stop_loss: missing; add it, for example `stop_loss = 155`"));
}

#[test]
fn a_syntax_error_names_its_line() {
    let error = parse("[risk]\nstop_loss == 155\n").expect_err("refused");
    assert!(error.starts_with("config.toml:2: not valid TOML"), "{error}");
}

#[test]
fn the_environment_shadows_the_file() {
    let config = shadowed(&[
        ("RISK__STOP_LOSS", "154.25"),
        ("RISK__NEWS_LOCK", "true"),
        ("EXECUTION__TRANCHE_WINDOW", "2h"),
        ("EXECUTION__TAKE_PROFIT_1", "+3%"),
        ("THREADS__CORES", "2,3"),
        ("FEEDS__DEFILLAMA_SLUGS", "[\"pumpswap\"]"),
        ("FEEDS__STALE_AFTER_MS__BINANCE_BBO", "1500"),
        ("MODE", "live"),
    ])
    .expect("loads");
    assert_eq!(config.params.stop_loss, Price(15_425_000_000));
    assert!(config.params.news_lock);
    assert_eq!(config.params.tranche_window_ns, 7_200_000_000_000);
    assert_eq!(config.params.tp1_above, Ratio(3_000_000));
    assert_eq!(config.threads.cores, [2, 3]);
    assert_eq!(config.feeds.defillama_slugs, ["pumpswap"]);
    assert_eq!(config.params.stale_bbo_ns, 1_500_000_000);
    assert_eq!(config.mode, Mode::Live);
    let error = shadowed(&[("RISK__STOP_LOSS", "high")]).expect_err("refused");
    assert!(error.contains("variable RISK__STOP_LOSS: risk.stop_loss = high: wrong type"), "{error}");
}

#[test]
fn a_secret_written_where_its_name_belongs_is_refused_and_not_shown() {
    let secret = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    let error = parse(&USERS_OWN.replace("BINANCE_SECRET", secret)).expect_err("refused");
    assert!(
        error.contains("exchange.binance_sec = (not shown)") && error.contains("never the secret itself"),
        "{error}"
    );
    let url = "https://rpc.example/?api-key=0123456789abcdef";
    let config = parse(&format!("{USERS_OWN}\n[endpoints]\nsolana_rpc = \"{url}\"")).expect("loads");
    assert_eq!(config.endpoints.solana_rpc, url);
    assert!(!format!("{:?}", config.effective).contains("0123456789abcdef"));
    let error = parse(&format!("{USERS_OWN}\n[endpoints]\nsolana_rpc = \"{}\"", url.replace("https", "http")))
        .expect_err("refused");
    assert!(!error.contains("0123456789abcdef"), "{error}");
    assert!(!error.contains(secret));
}

#[test]
fn a_readable_env_file_a_missing_secret_and_a_broken_line_are_refused_without_showing_values() {
    let dir = Dir::new("env");
    let config = dir.write("config.toml", USERS_OWN, 0o644);
    let load = |env: &str, mode: u32, live: Option<Mode>| {
        let env_file = Some(dir.write("env", env, mode));
        config::load(&Sources { config: config.clone(), env_file, mode: live, data_dir: None })
            .map_err(|errors| errors.to_string())
    };
    let both = "BINANCE_API_KEY=kkkk1111\nBINANCE_SECRET=ssss2222\n";
    let exposed = load(both, 0o644, None).expect_err("refused");
    assert!(exposed.contains("readable by others (mode 644)") && exposed.contains("chmod 600"), "{exposed}");
    let missing = load("BINANCE_API_KEY=kkkk1111\n", 0o600, Some(Mode::Live)).expect_err("refused");
    assert!(
        missing.contains("exchange.binance_sec: the variable is not set; add a line `BINANCE_SECRET=...`"),
        "{missing}"
    );
    let broken = load("BINANCE_API_KEY=kkkk1111\nssss2222 ssss2222\n", 0o600, None).expect_err("refused");
    assert!(broken.contains("entry 2 is not NAME=value"), "{broken}");
    for text in [exposed, missing, broken] {
        assert!(!text.contains("1111") && !text.contains("2222"), "{text}");
    }
    let (live, secrets) = load(both, 0o600, Some(Mode::Live)).expect("loads");
    assert_eq!(live.mode, Mode::Live);
    assert!(!format!("{secrets:?}").contains("2222"));
    assert!(load("# nothing\n", 0o600, None).is_ok(), "paper needs no exchange keys");
}

#[test]
fn an_ed25519_secret_is_a_pem_text_or_the_path_of_an_owner_only_file() {
    let dir = Dir::new("pem");
    let text = USERS_OWN.replace("[symbols]", "binance_key_type = \"ed25519\"\n[symbols]");
    let config = dir.write("config.toml", &text, 0o644);
    let load = |value: &str| {
        let env = format!("BINANCE_API_KEY=k\nBINANCE_SECRET='{value}'\n");
        let env_file = Some(dir.write("env", &env, 0o600));
        config::load(&Sources { config: config.clone(), env_file, mode: Some(Mode::Live), data_dir: None })
            .map_err(|errors| errors.to_string())
    };
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n";
    let path = dir.write("key.pem", pem, 0o600);
    assert!(load(&path.display().to_string()).is_ok());
    assert!(load(pem.trim()).is_ok());
    let open = dir.write("open.pem", pem, 0o640);
    for wrong in [open.display().to_string(), "/nowhere/key.pem".to_owned(), "hunter2hunter2".to_owned()] {
        let error = load(&wrong).expect_err("refused");
        assert!(error.contains("exchange.binance_sec") && !error.contains(&wrong), "{error}");
    }
}

#[test]
fn named_alert_and_ops_secrets_must_be_there_and_of_the_right_shape() {
    let dir = Dir::new("alerts");
    let extra = "[ops]\ntoken = \"OPS_TOKEN\"\n[alerts]\ntelegram_token = \"TG\"\ntelegram_chat = \"CHAT\"\nslack_webhook = \"HOOK\"\n";
    let config = dir.write("config.toml", &format!("{USERS_OWN}\n{extra}"), 0o644);
    let load = |env: &str| {
        let env_file = Some(dir.write("env", env, 0o600));
        config::load(&Sources { config: config.clone(), env_file, mode: None, data_dir: None })
            .map(|_| ())
            .map_err(|errors| errors.to_string())
    };
    let good = "OPS_TOKEN=0123456789abcdef\nTG=12345:AAxyz\nCHAT=-100123\nHOOK=https://hooks.example/services/T/B/x\n";
    assert_eq!(load(good), Ok(()));
    for (from, to, says) in [
        ("OPS_TOKEN=0123456789abcdef", "OPS_TOKEN=short", "ops.token"),
        ("TG=12345:AAxyz", "TG=AAxyz/../evil", "alerts.telegram_token"),
        ("CHAT=-100123\n", "", "alerts.telegram_chat"),
        ("https://hooks", "http://hooks", "alerts.slack_webhook"),
    ] {
        let error = load(&good.replace(from, to)).expect_err(says);
        assert!(error.contains(says) && !error.contains("AAxyz") && !error.contains("services"), "{error}");
    }
}

#[test]
fn a_reload_carries_numbers_and_names_what_needs_a_restart() {
    let old = parse(USERS_OWN).expect("loads");
    let text = USERS_OWN.replace("= 155", "= 154.5").replace("rsi_max       = 45", "rsi_max = 40\ncandle = \"1m\"");
    let new = parse(&format!(
        "{text}\n[ops]\nlisten = \"127.0.0.1:1\"\n[endpoints]\nsolana_rpc = \"https://a.example/?k=1\""
    ))
    .expect("loads");
    let reload = config::diff(&old, &new);
    let stale = (ParamKey::StaleCandle, 150_000_000_000);
    assert_eq!(reload.params, [(ParamKey::RsiMax, 4_000_000_000), (ParamKey::StopLoss, 15_450_000_000), stale]);
    assert_eq!(reload.needs_restart, ["endpoints.solana_rpc", "ops.listen", "thresholds.candle"]);
    let again = parse(&text.replace("candle", "# candle")).expect("loads");
    assert!(config::diff(&again, &again).params.is_empty() && config::diff(&again, &again).needs_restart.is_empty());
}
