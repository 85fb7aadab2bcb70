//! The same two triggers by the usual stack: one `tokio` thread, `tokio-tungstenite`, `serde_json`, floats.
//!
//! Runs on: the core given, current-thread runtime.  Arguments: trigger, core, addresses of market, slots and orders.
//! It knows no risk, no journal, no order states: less work than the engine, so the comparison leans its way.

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Combined {
    data: Ticker,
}

#[derive(Deserialize)]
struct Ticker {
    b: String,
    a: String,
}

/// What the client remembers between two messages.
struct Client {
    is_slot: bool,
    number: u64,
    mid: f64,
    /// Mid when the pair was posted; `None` = no pair rests.
    posted: Option<f64>,
    /// Mid when the pair under way was sent: a tick may come before its answer, and must count as a shift.
    sent_mid: f64,
    is_open: bool,
    orders: Ws,
}

impl Client {
    async fn send(&mut self, method: &str, params: Value) -> Result<(), Failure> {
        self.number += 1;
        let text = json!({"id": self.number, "method": method, "params": params}).to_string();
        self.orders.send(Message::text(text)).await?;
        Ok(())
    }

    async fn post_pair(&mut self) -> Result<(), Failure> {
        let name = |leg: &str, number: u64| format!("v0000000001-000001-{leg}-{number:04}");
        let next = self.number + 1;
        let params = json!({
            "symbol": "SOLUSDT", "side": "SELL", "quantity": "10.000", "listClientOrderId": name("51", next),
            "aboveType": "LIMIT_MAKER", "abovePrice": "170.00", "aboveClientOrderId": name("31", next),
            "belowType": "STOP_LOSS", "belowStopPrice": "155.00", "belowClientOrderId": name("41", next),
        });
        self.sent_mid = if self.mid > 0.0 { self.mid } else { 1.0 };
        self.send("orderList.place.oco", params).await
    }

    async fn on_tick(&mut self, text: &str) -> Result<(), Failure> {
        let tick: Combined = serde_json::from_str(text)?;
        self.mid = (tick.data.b.parse::<f64>()? + tick.data.a.parse::<f64>()?) / 2.0;
        if self.is_slot || self.is_open || !(160.0..=162.0).contains(&self.mid) {
            return Ok(());
        }
        self.is_open = true;
        let client = format!("v0000000001-{:06}-01-0001", self.number);
        let params = json!({
            "symbol": "SOLUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "price": format!("{:.2}", self.mid),
            "quantity": "10.000", "newClientOrderId": client,
        });
        self.send("order.place", params).await
    }

    async fn on_slot(&mut self, text: &str) -> Result<(), Failure> {
        let message: Value = serde_json::from_str(text)?;
        let is_slot = message["params"]["result"]["slot"].as_u64().is_some();
        let Some(posted) = self.posted.filter(|_| is_slot && self.is_slot) else { return Ok(()) };
        if (self.mid / posted - 1.0).abs() > 0.001 {
            self.posted = None;
            self.send(
                "orderList.cancel",
                json!({"symbol": "SOLUSDT", "listClientOrderId": "v0000000001-000001-51-0001"}),
            )
            .await?;
        }
        Ok(())
    }

    async fn on_order(&mut self, text: &str) -> Result<(), Failure> {
        let message: Value = serde_json::from_str(text)?;
        let result = &message["result"];
        if result["balances"].is_array() && self.is_slot {
            self.post_pair().await?;
        } else if result["listOrderStatus"] == "EXECUTING" {
            self.posted = Some(self.sent_mid);
        } else if result["listOrderStatus"] == "ALL_DONE" {
            self.post_pair().await?;
        } else if message["event"]["X"] == "EXPIRED" {
            self.is_open = false;
        }
        Ok(())
    }
}

async fn connect(addr: &str) -> Result<Ws, Failure> {
    let (socket, _) = tokio_tungstenite::connect_async_with_config(format!("ws://{addr}/ws"), None, true).await?;
    Ok(socket)
}

async fn run(trigger: &str, addrs: [&str; 3]) -> Result<(), Failure> {
    let (mut market, mut slots) = (connect(addrs[0]).await?, connect(addrs[1]).await?);
    let orders = connect(addrs[2]).await?;
    let is_slot = trigger == "slot";
    let mut client = Client { is_slot, number: 0, mid: 0.0, posted: None, sent_mid: 1.0, is_open: false, orders };
    client.send("myTrades", json!({})).await?; // what the venue waits for before it begins
    loop {
        tokio::select! {
            Some(Ok(Message::Text(text))) = market.next() => client.on_tick(&text).await?,
            Some(Ok(Message::Text(text))) = slots.next() => client.on_slot(&text).await?,
            Some(Ok(Message::Text(text))) = client.orders.next() => client.on_order(&text).await?,
            else => return Ok(()),
        }
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [trigger, core, market, slots, orders] = args.as_slice() else {
        return Err("usage: tokio_peer <slot|entry> <core> <market> <slots> <orders>".into());
    };
    core_affinity::set_for_current(core_affinity::CoreId { id: core.parse()? });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The venue ends first, and with it the connections: that is the end of a run, not a failure.
    drop(runtime.block_on(run(trigger, [market, slots, orders])));
    Ok(())
}
