//! What the trace of a server says: every answer, and nothing about who got it.

use cli::{Step, Trace};
use smp::response::Response;
use smp_server::config::Observer;

/// Records every answer of the server with this address.
pub(crate) fn observer(trace: Trace, address: String) -> Observer {
    Observer::new(move |corr_id, response| {
        let tells = &grp::trace_name(corr_id.as_bytes());
        let (outcome, note) = said(response);
        trace.step(Step { who: &address, name: "smp_answer", outcome: &outcome, note, tells, ..Step::default() });
    })
}

/// How a command ended, and the tag of the answer.
fn said(response: &Response) -> (String, &'static str) {
    match response {
        Response::Err(error) => (error.to_string(), "ERR"),
        Response::Ids(_) => ("ok".to_owned(), "IDS"),
        Response::Lnk(..) => ("ok".to_owned(), "LNK"),
        Response::Msg(..) => ("ok".to_owned(), "MSG"),
        Response::Ok => ("ok".to_owned(), "OK"),
        _ => ("ok".to_owned(), ""),
    }
}
