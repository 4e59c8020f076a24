//! Metrics and health for machines, over plain HTTP: aggregates only, no commands.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::state::State;

/// Serves `/metrics` in the text format of Prometheus and `/health`, which is `ok` unless the store is being repaired.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new().route("/metrics", get(metrics)).route("/health", get(health)).with_state(state);
    axum::serve(listener, routes).with_graceful_shutdown(shutdown).await
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], state.metrics_page())
}

async fn health(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    if state.is_serving() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "repairing\n") }
}
