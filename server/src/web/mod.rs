//! HTTP: the settings door for hubs, the feed and health for people, metrics for Prometheus.

pub mod metrics;
