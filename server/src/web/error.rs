//! The only place where an error becomes HTTP: what happened, why, and what to do.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::feed::NotWelcome;

/// An error as the caller reads it. Nothing of a person, a key or the store's inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// What happened.
    pub what: &'static str,
    /// Why.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Problem {
    /// There is no such page.
    pub const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        what: "there is nothing at this address",
        cause: "the path is none of this server's",
        remedy: "check the path against docs/protocol.md",
    };
    /// Another method.
    pub const METHOD: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        what: "this address does not take this method",
        cause: "only GET is served here",
        remedy: "use GET",
    };
    /// The store did not answer.
    pub const STORE: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        what: "the request could not be answered now",
        cause: "the store did not answer",
        remedy: "try again in some seconds; if it stays so, see the server's log",
    };
    /// The server is not ready.
    pub const NOT_READY: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        what: "the server is not ready",
        cause: "the store does not answer, or the door does not listen",
        remedy: "wait; if it stays so, see the server's log",
    };
    /// The store cannot commit.
    pub const STORE_REFUSES: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        what: "the server stores nothing now, and receipts nothing",
        cause: "the last transaction could not be written: the disk is full or fails",
        remedy: "make room on the disk or mend it; hubs keep their readings meanwhile, and the server goes on by itself",
    };
    /// No WebSocket handshake.
    pub const NO_SOCKET: Self = Self {
        status: StatusCode::UPGRADE_REQUIRED,
        what: "the feed is a WebSocket",
        cause: "the request is no WebSocket handshake of version 13 over HTTP/1.1",
        remedy: "connect with a WebSocket client",
    };
    /// The hub has no settings.
    pub const NO_SETTINGS: Self = Self {
        status: StatusCode::NOT_FOUND,
        what: "there are no settings for this hub",
        cause: "the hub is not enrolled in this store",
        remedy: "enrol the hub",
    };
    /// Too much in the query.
    pub const QUERY: Self = Self {
        status: StatusCode::BAD_REQUEST,
        what: "the query cannot be read",
        cause: "only cursor=... is known here; a token never goes into an address",
        remedy: "send the token in the Authorization header, and nothing but the cursor in the query",
    };
}

impl From<&NotWelcome> for Problem {
    fn from(why: &NotWelcome) -> Self {
        match why {
            NotWelcome::Unauthenticated => Self {
                status: StatusCode::UNAUTHORIZED,
                what: "the feed was not opened",
                cause: "no valid bearer token came in the Authorization header",
                remedy: "ask an administrator for a token, and send it as: Authorization: Bearer rpm_...",
            },
            NotWelcome::Refused(_) => Self {
                status: StatusCode::FORBIDDEN,
                what: "the feed was not opened",
                cause: "the token's role may not watch patients",
                remedy: "use a token of a role that may",
            },
            NotWelcome::Full => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                what: "the feed was not opened",
                cause: "all places are taken",
                remedy: "close other windows, or try again later",
            },
            NotWelcome::Store(_) => Self::STORE,
            NotWelcome::StoreRefuses => Self::STORE_REFUSES,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_why_and_what_to_do() {
        let response = Problem::from(&NotWelcome::Unauthenticated).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert!(Problem::STORE_REFUSES.cause.len() <= 123, "it fits a close frame (RFC 6455 §5.5)");
        let json = serde_json::to_value(Problem::NOT_FOUND).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["cause", "remedy", "what"]);
    }
}
