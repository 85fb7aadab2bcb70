//! Watching a run: `/metrics` for the scraper, `status` for the operator, doors that stay shut without the token.

use crate::rig::{House, OPS_TOKEN, run_to_end};

/// Every name of the contract.
const NAMES: [&str; 35] = [
    "svb_events_total",
    "svb_stream_up",
    "svb_stream_age_seconds",
    "svb_gaps_total",
    "svb_reconnects_total",
    "svb_stage_seconds_bucket",
    "svb_stage_seconds_count",
    "svb_tick_to_trade_seconds_bucket",
    "svb_tick_to_trade_seconds_sum",
    "svb_orders_total",
    "svb_orders_unknown",
    "svb_fills_total",
    "svb_order_ack_seconds_count",
    "svb_position_base",
    "svb_equity_quote",
    "svb_pnl_realized_quote",
    "svb_pnl_unrealized_quote",
    "svb_slippage_bps",
    "svb_risk_refusals_total",
    "svb_paused",
    "svb_consecutive_losses",
    "svb_volume_drop_ratio",
    "svb_rsi",
    "svb_slot",
    "svb_slot_seconds",
    "svb_ring_depth",
    "svb_ring_full_total",
    "svb_unprotected_seconds",
    "svb_build_info",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

/// Name, labels and value of a line of the text format; `None` if it is none.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value: f64 = value.parse().ok()?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let is_name = !name.is_empty() && name.chars().all(good);
    let are_labels = labels.is_empty() || labels.split("\",").all(|label| label.contains("=\""));
    (is_name && are_labels).then_some((name, labels, value))
}

#[test]
fn metrics_have_every_name_of_the_contract_and_every_line_is_a_sample() {
    let mut house = House::new("metrics");
    house.set("risk", "news_lock", "true"); // one refusal, so that its counter is there
    let (mut bot, ops) = house.open();
    bot.line("REFUSED");
    house.set("risk", "news_lock", "false");
    house.write();
    bot.signal(libc::SIGHUP);
    bot.line("PROTECTED");
    let text =
        ops.until("/metrics", |_, body| body.contains("svb_orders_total{") && body.contains("svb_stream_age_seconds{"));
    let mut seen = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let parsed = sample(line);
        assert!(parsed.is_some(), "no sample: {line}");
        seen.extend(parsed);
    }
    for name in NAMES {
        assert!(seen.iter().any(|(known, _, _)| *known == name), "{name} is missing");
    }
    let value = |name: &str, label: &str| {
        let found = seen.iter().find(|(known, labels, _)| *known == name && labels.contains(label));
        found.map_or_else(|| panic!("no {name} with {label}"), |(_, _, value)| *value)
    };
    assert!(value("svb_fills_total", "side=\"buy\"") >= 1.0);
    assert!(value("svb_orders_total", "kind=\"entry\"") >= 1.0);
    assert!(value("svb_risk_refusals_total", "reason=\"news_lock\"") >= 1.0);
    assert!(value("svb_position_base", "venue=\"binance_spot\"") > 0.0);
    assert!(value("svb_tick_to_trade_seconds_count", "") >= 1.0);
    assert!((value("svb_volume_drop_ratio", "source=\"defillama\"") - 0.36555607).abs() < 1e-6);
    assert!(value("svb_unprotected_seconds", "") < 0.5, "longer than naked_ms_max");
    assert_eq!(bot.stop().code, Some(0));
}

#[test]
fn status_tells_people_and_programs_what_the_engine_does_and_fails_when_there_is_none() {
    let house = House::new("status");
    let (mut bot, ops) = house.open();
    bot.line("PROTECTED");
    ops.until("/api/status", |_, body| !body.contains("\"fills\":0"));
    let told = run_to_end(&house.folder, &["status", "--ops", &ops.0]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for line in ["mode: live", "symbol: SOLUSDT", "streams.binance_bbo.state: up", "consecutive_losses: 0"] {
        assert!(told.stdout.lines().any(|known| known == line), "{line} is not told:\n{}", told.stdout);
    }
    let json = run_to_end(&house.folder, &["status", "--json", "--ops", &ops.0]);
    let status: serde_json::Value = serde_json::from_str(&json.stdout).expect("one JSON object");
    assert_ne!(status["position"], "0");
    assert_eq!(bot.stop().code, Some(0));
    let gone = run_to_end(&house.folder, &["status", "--ops", &ops.0]);
    assert_eq!(gone.code, Some(1), "{}", gone.stderr);
    assert!(gone.stderr.contains(&format!("no engine answers on {}", ops.0)), "{}", gone.stderr);
}

#[test]
fn what_changes_state_needs_post_and_the_token() {
    let mut house = House::new("doors");
    let (mut bot, ops) = house.open();
    for word in ["pause", "resume", "flatten", "kill"] {
        let path = format!("/api/{word}");
        assert_eq!(ops.get(&path).0, 405, "GET {path}");
        assert_eq!(ops.post(&path, None), 401, "POST {path} without a token");
        assert_eq!(ops.post(&path, Some(&OPS_TOKEN[1..])), 401, "POST {path} with another token");
    }
    assert_eq!(ops.post("/metrics", Some(OPS_TOKEN)), 405);
    assert_eq!(ops.get("/nothing").0, 404);
    for _ in 0..8 {
        bot.line("UNAUTHORIZED"); // each was noted
    }
    assert_eq!((bot.count("PAUSE"), bot.count("KILL")), (0, 0), "and none of it was heard");
    assert_eq!(ops.post("/api/pause", Some(OPS_TOKEN)), 202);
    assert_eq!(bot.line("PAUSE")["reason"], "operator");
    assert_eq!(bot.stop().code, Some(0));

    house.set("ops", "listen", "\"127.0.0.1:0\"");
    house.unset("ops", "token");
    let (bot, ops) = house.open();
    assert_eq!(ops.post("/api/pause", Some(OPS_TOKEN)), 403, "without a token of its own the door has no key");
    assert_eq!(bot.stop().code, Some(0));
}
