//! What became of everything.

use anyhow::Context;
use serde_json::{Value, json};

use crate::homes::Totals;
use crate::watch::Seen;

/// The result.
#[derive(Debug)]
pub(crate) struct Outcome {
    sent: u64,
    stored: u64,
    receipted: u64,
    duplicates: u64,
    alerts: u64,
    alerting: Vec<String>,
    p50_ms: Option<u64>,
    p99_ms: Option<u64>,
}

/// The smallest value that at least so many hundredths of all do not exceed.
fn percentile(ascending: &[u64], hundredths: usize) -> Option<u64> {
    let rank = (ascending.len() * hundredths).div_ceil(100).max(1);
    ascending.get(rank - 1).copied()
}

impl Outcome {
    /// Brings together what agents, server and client say.
    pub(crate) fn of(totals: &Totals, counts: &Value, seen: Seen) -> anyhow::Result<Self> {
        let count = |key: &str| counts.get(key).and_then(Value::as_u64).with_context(|| format!("no `{key}`"));
        Ok(Self {
            sent: totals.sent,
            stored: count("observations")?,
            receipted: totals.receipted,
            duplicates: count("duplicates")?,
            alerts: seen.alerts,
            alerting: seen.alerting.into_iter().collect(),
            p50_ms: percentile(&seen.latencies_ms, 50),
            p99_ms: percentile(&seen.latencies_ms, 99),
        })
    }

    /// Whether nothing was lost and nothing came twice.
    pub(crate) const fn is_whole(&self) -> bool {
        self.sent > 0 && self.sent == self.stored && self.stored == self.receipted && self.duplicates == 0
    }

    /// One line for programs.
    pub(crate) fn to_json(&self) -> String {
        // Written out, so that the keys keep their order.
        let value = |value: Value| value.to_string();
        let number = |number: Option<u64>| value(json!(number));
        format!(
            "{{\"sent\":{},\"stored\":{},\"receipted\":{},\"duplicates\":{},\"alerts\":{},\"alerting_patients\":{},\
             \"p50_ms\":{},\"p99_ms\":{}}}",
            self.sent,
            self.stored,
            self.receipted,
            self.duplicates,
            self.alerts,
            value(json!(self.alerting)),
            number(self.p50_ms),
            number(self.p99_ms)
        )
    }

    /// The same for people.
    pub(crate) fn to_text(&self) -> String {
        let ms = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number} ms"));
        format!(
            "accepted {}, stored {}, receipted {}, twice {}: {}\n{} alerts, about: {}\n\
             device byte to screen: half within {}, 99 in 100 within {}",
            self.sent,
            self.stored,
            self.receipted,
            self.duplicates,
            if self.is_whole() { "nothing lost, nothing twice" } else { "SOMETHING IS WRONG" },
            self.alerts,
            if self.alerting.is_empty() { "nobody".to_owned() } else { self.alerting.join("; ") },
            ms(self.p50_ms),
            ms(self.p99_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_on_small_and_round_numbers() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50), Some(99)));
        assert_eq!((percentile(&[7], 99), percentile(&[], 50)), (Some(7), None));
    }

    #[test]
    fn any_difference_is_wrong() {
        let outcome = |sent, stored, receipted, duplicates| {
            let counts = json!({ "observations": stored, "duplicates": duplicates });
            Outcome::of(&Totals { sent, receipted }, &counts, Seen::default()).unwrap().is_whole()
        };
        assert!(outcome(5, 5, 5, 0));
        assert!(!outcome(0, 0, 0, 0) && !outcome(5, 4, 5, 0) && !outcome(5, 5, 4, 0) && !outcome(5, 5, 5, 1));
        assert!(!outcome(4, 5, 5, 0));
    }

    #[test]
    fn the_line_is_json_with_every_key() {
        let counts = json!({ "observations": 5, "duplicates": 0 });
        let seen = Seen { alerts: 1, alerting: ["a\"b".to_owned()].into(), latencies_ms: vec![3] };
        let outcome = Outcome::of(&Totals { sent: 5, receipted: 5 }, &counts, seen).unwrap();
        let value: Value = serde_json::from_str(&outcome.to_json()).unwrap();
        assert_eq!(value["alerting_patients"], json!(["a\"b"]));
        assert_eq!((&value["p50_ms"], value.as_object().unwrap().len()), (&json!(3), 8));
    }
}
