//! The connection to the NATS server: the one place where anything is awaited.
//!
//! Runs on: `bus`, inside its runtime.  Invariants: the connection's changes reach the desk before any message that came
//! by a newer one; publishing never holds up listening; what one publish may wait is bounded.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event as Change};
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{BusOutbox, BusSettings, Desk};

/// Between two looks at silence.
const TICK: Duration = Duration::from_millis(100);
/// A server that does not answer two of these in a row is gone.
const PING: Duration = Duration::from_secs(2);
/// Longest time for a connection, and for the room to publish one message.
const PATIENCE: Duration = Duration::from_secs(2);
/// At the end, how long what waits may take to go out.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Longest pause before the next try to connect.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Samples that wait to be read; more is a loss, and told.
const INBOX_MAX: usize = 1_024;
/// Messages between the outbox and the socket.
const ON_THE_WAY_MAX: usize = 64;

/// How the connection stands, and how often it did not.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    /// It stands.
    pub is_up: bool,
    /// Times it broke or could not be had.
    pub breaks: u32,
    /// Times that messages were lost on our side.
    pub losses: u32,
    /// The newest complaint of client or server.
    pub why: Option<Arc<str>>,
}

impl Link {
    fn on_change(&mut self, change: &Change, is_tls: bool) {
        match change {
            Change::Connected => self.is_up = true,
            Change::Disconnected | Change::Closed => self.is_broken(),
            Change::SlowConsumer(_) => self.losses = self.losses.wrapping_add(1),
            Change::ClientError(_) | Change::ServerError(_) => {
                // The client does not pass on what TLS says of a certificate.
                let mend = "; a certificate of an authority of your own needs endpoints.ca_file";
                let mend = if is_tls && !self.is_up { mend } else { "" };
                self.why = Some(format!("{change}{mend}").into());
                if !self.is_up {
                    self.is_broken();
                }
            }
            Change::LameDuckMode | Change::Draining => {}
        }
    }
    fn is_broken(&mut self) {
        self.is_up = false;
        self.breaks = self.breaks.wrapping_add(1);
    }
}

/// The desk and the server it listens to.
pub(super) struct Wire {
    pub desk: Desk,
    pub settings: BusSettings,
}

impl Wire {
    /// Listens and publishes until told to stop.
    pub async fn live(&mut self, outbox: BusOutbox, stopped: oneshot::Receiver<()>) {
        let link = outbox.link.subscribe();
        let prefix = format!("{}.feed.", self.settings.subject);
        let client = match self.options(outbox.link.clone()).connect(self.settings.url.as_str()).await {
            Ok(client) => client,
            Err(why) => return self.desk.down(&format!("no client: {why}")),
        };
        let mut sender = tokio::spawn(publish(client.clone(), self.settings.subject.clone(), outbox));
        self.listen(&client, &prefix, link, stopped).await;
        if timeout(LAST_WORDS, &mut sender).await.is_err() {
            sender.abort();
        }
    }

    fn options(&self, link: watch::Sender<Link>) -> ConnectOptions {
        let mut tls = rustls::ClientConfig::clone(&self.settings.tls);
        tls.enable_secret_extraction = false; // nobody takes keys out of this connection
        let is_tls = self.settings.url.starts_with("tls://");
        let tell = move |change: Change| {
            link.send_modify(|link| link.on_change(&change, is_tls));
            std::future::ready(())
        };
        let pause = |tries: usize| {
            let tries = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX);
            TICK.saturating_mul(tries).min(PAUSE_MAX)
        };
        let options = ConnectOptions::new()
            .name("sol_volume_bot")
            .retry_on_initial_connect()
            .ignore_discovered_servers() // another host might be one that we reach in plain text
            .connection_timeout(PATIENCE)
            .ping_interval(PING)
            .reconnect_delay_callback(pause)
            .subscription_capacity(INBOX_MAX)
            .client_capacity(ON_THE_WAY_MAX)
            .tls_client_config(tls)
            .require_tls(is_tls)
            .event_callback(tell);
        match &self.settings.token {
            Some(token) => options.token(token.expose_secret().to_owned()),
            None => options,
        }
    }

    async fn listen(
        &mut self,
        client: &Client,
        prefix: &str,
        mut link: watch::Receiver<Link>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let mut inbox = match client.subscribe(format!("{prefix}*")).await {
            Ok(inbox) => inbox,
            Err(why) => return self.desk.down(&format!("no subscription: {why}")),
        };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased; // what happened to the connection before what came by it
                _ = &mut stopped => return,
                Ok(()) = link.changed() => {
                    let newest = link.borrow_and_update().clone();
                    self.desk.on_link(newest);
                }
                _ = tick.tick() => self.desk.on_tick(),
                message = inbox.next() => match message {
                    Some(message) => {
                        let name = message.subject.as_str().strip_prefix(prefix).unwrap_or_default();
                        self.desk.on_message(name, &message.payload);
                    }
                    None => return self.desk.down("the subscription ended"),
                },
            }
        }
    }
}

/// Hands the facts on, in order, while the connection stands; ends once nobody can bring any more.
async fn publish(client: Client, subject: String, mut outbox: BusOutbox) {
    let mut link = outbox.link.subscribe();
    while let Some(fact) = outbox.facts.recv().await {
        if link.wait_for(|link| link.is_up).await.is_err() {
            return;
        }
        let topic = fact.topic.name();
        let sent = timeout(PATIENCE, client.publish(format!("{subject}.{topic}"), fact.body.into())).await;
        let count = if matches!(sent, Ok(Ok(()))) { &outbox.metrics.published } else { &outbox.metrics.dropped };
        count.with_label_values(&[topic]).inc();
    }
    if client.flush().await.is_err() {
        log::warn!("the bus: the last messages may not have gone out");
    }
}
