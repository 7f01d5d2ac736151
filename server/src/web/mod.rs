//! HTTP: the feed and health for people, the settings door for hubs, metrics for Prometheus.

pub mod error;
pub mod health;
pub mod hub_https;
pub mod limits;
pub mod metrics;
pub mod serve;

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::feed::FeedDoor;
use crate::feed::limits::{BUFFER_BYTES, CLIENT_MESSAGE_BYTES_MAX};
use error::Problem;
use health::Readiness;
use metrics::Metrics;

#[derive(Clone)]
struct Served {
    feed: FeedDoor,
    readiness: Arc<dyn Readiness>,
}

#[derive(Clone)]
struct Measured {
    metrics: Arc<Metrics>,
    readiness: Arc<dyn Readiness>,
}

/// What people's clients are served.
pub fn people(feed: FeedDoor, readiness: Arc<dyn Readiness>) -> Router {
    Router::new()
        .route("/v1/feed", get(watch))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .fallback(async || Problem::NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(Served { feed, readiness })
}

/// What Prometheus is served, on a plain listener that only this machine reaches.
pub fn prometheus(metrics: Arc<Metrics>, readiness: Arc<dyn Readiness>) -> Router {
    Router::new()
        .route("/metrics", get(measured))
        .fallback(async || Problem::NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(Measured { metrics, readiness })
}

async fn measured(State(measured): State<Measured>) -> Result<impl IntoResponse, Problem> {
    measured.metrics.store_refuses.set(i64::from(measured.readiness.refuses()));
    let failed = i64::try_from(measured.readiness.failed_checkpoints()).unwrap_or(i64::MAX);
    measured.metrics.store_checkpoints_failed.set(failed);
    let text = measured.metrics.text().map_err(|_| Problem::NOT_READY)?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

async fn alive(State(served): State<Served>) -> &'static str {
    health::alive(&*served.readiness)
}

async fn ready(State(served): State<Served>) -> Result<&'static str, Problem> {
    health::ready(&*served.readiness).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resume {
    cursor: Option<String>,
}

async fn watch(
    State(served): State<Served>,
    headers: HeaderMap,
    resume: Result<Query<Resume>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Query(resume) = resume.map_err(|_| Problem::QUERY)?;
    let guest = served.feed.admit(authorization, resume.cursor.as_deref()).await.map_err(|why| Problem::from(&why))?;
    let upgrade = upgrade.map_err(|_| Problem::NO_SOCKET)?;
    let upgrade = upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(CLIENT_MESSAGE_BYTES_MAX)
        .max_frame_size(CLIENT_MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |socket| served.feed.enter(socket, guest).await))
}
