//! Asking the brokers, and what the client says while they do not answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::error::BridgeError;
use crate::settings::{BridgeConfig, Topics};

/// How long one request may take, and how often it is made. A signal is heeded between two of them.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 12;
/// Behind a request that failed at once, as while a broker becomes the group's coordinator: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The same for the first contact, with a pause behind each in which the client tells what is wrong.
const CONTACT_TIMEOUT: Duration = Duration::from_secs(1);
const CONTACT_PAUSE: Duration = Duration::from_millis(200);
const CONTACT_ATTEMPTS: u32 = 50;

/// What a client's context knows beside the client's answers.
pub(crate) trait Listener: ConsumerContext {
    /// What the client last said was wrong.
    fn trouble(&self) -> &Trouble;

    /// Whether nobody waits for answers any more.
    fn is_stopped(&self) -> bool;
}

/// What the client last said was wrong: its answers to requests do not say it.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Option<(Option<RDKafkaErrorCode>, String)>>);

impl Trouble {
    pub(crate) fn note(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows from why each of them is.
        if last.is_none() || code != Some(RDKafkaErrorCode::AllBrokersDown) {
            *last = Some((code, reason.to_owned()));
        }
    }

    fn last(&self) -> Option<(Option<RDKafkaErrorCode>, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The context of a client that joins no group.
#[derive(Default)]
pub(crate) struct Outsider(Trouble);

impl ClientContext for Outsider {
    // What matters of it is in the error that a command ends with.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
    }
}

impl ConsumerContext for Outsider {}

impl Listener for Outsider {
    fn trouble(&self) -> &Trouble {
        &self.0
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

/// Waits until a broker answers; `false` where it was stopped before. Not from within a rebalance: it polls.
///
/// # Errors
/// None answers within a minute, or one will not have us.
pub(crate) fn reach<C: Listener>(consumer: &BaseConsumer<C>, config: &BridgeConfig) -> Result<bool, BridgeError> {
    let topic = match &config.kafka.topics {
        Topics::Names(names) => names.first().map(String::as_str),
        Topics::Pattern(_) => None,
    };
    let no_broker = |reason: String, advice: &'static str| BridgeError::NoBroker {
        servers: config.kafka.client_setting("bootstrap.servers").unwrap_or_default().to_owned(),
        reason,
        advice,
    };
    let mut last = None;
    for _ in 0..CONTACT_ATTEMPTS {
        if consumer.context().is_stopped() {
            return Ok(false);
        }
        match consumer.fetch_metadata(topic, CONTACT_TIMEOUT) {
            Ok(_) => return Ok(true),
            Err(error) => last = Some(error),
        }
        // Nothing is subscribed to: only the client's troubles come.
        drop(consumer.poll(CONTACT_PAUSE));
        match consumer.context().trouble().last() {
            Some((Some(RDKafkaErrorCode::Authentication), reason)) => {
                return Err(no_broker(reason, "check sasl.mechanism, sasl.username and sasl.password"));
            }
            Some((Some(RDKafkaErrorCode::SSL), reason)) => {
                return Err(no_broker(reason, "check security.protocol and the ssl settings"));
            }
            _ => {}
        }
    }
    let said = consumer.context().trouble().last().map(|(_, reason)| reason);
    let reason = said.or_else(|| last.map(|error| error.to_string())).unwrap_or_default();
    Err(no_broker(reason, "check bootstrap.servers and security.protocol, and whether the brokers run"))
}

/// Asks again while the brokers do not answer.
pub(crate) fn ask<T>(
    context: &impl Listener,
    doing: &str,
    request: impl Fn() -> KafkaResult<T>,
) -> Result<T, BridgeError> {
    let (mut attempt, mut pause) = (1, FIRST_PAUSE);
    loop {
        match request() {
            Ok(answer) => return Ok(answer),
            Err(error) if attempt == ATTEMPTS || context.is_stopped() => return Err(BridgeError::kafka(doing)(error)),
            Err(error) => tracing::warn!(%error, doing, "Kafka did not answer; asked again"),
        }
        std::thread::sleep(pause);
        attempt += 1;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_kept_over_what_follows_from_it() {
        let trouble = Trouble::default();
        let note = |code, reason: &str| {
            trouble.note(&KafkaError::Global(code), reason);
            trouble.last().unwrap().1
        };
        assert_eq!(note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down"), "1/1 brokers are down");
        assert_eq!(note(RDKafkaErrorCode::BrokerTransportFailure, "refused"), "refused");
        assert_eq!(note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down"), "refused");
        assert_eq!(note(RDKafkaErrorCode::Authentication, "wrong password"), "wrong password");
    }
}
