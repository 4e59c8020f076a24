//! The document and the table.

use std::process::ExitCode;

use serde::Serialize;

/// One result. Values that nothing bounds have neither bound nor ratio.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    name: &'static str,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

impl Measured {
    pub(crate) fn plain(name: &'static str, value: f64, unit: &'static str) -> Self {
        Measured { name, value: rounded(value), unit, bound: None, ratio: None }
    }

    /// A rate and the most that it could be: the ratio says how much of the bound is reached.
    pub(crate) fn of_bound(name: &'static str, value: f64, unit: &'static str, bound: f64) -> Self {
        let ratio = Some(rounded(value / bound));
        Measured { name, value: rounded(value), unit, bound: Some(rounded(bound)), ratio }
    }

    /// A cost and the most that it may be: the ratio is above 1 where there is room left.
    pub(crate) fn limited(name: &'static str, value: f64, unit: &'static str, limit: f64) -> Self {
        let ratio = Some(rounded(limit / value));
        Measured { name, value: rounded(value), unit, bound: Some(limit), ratio }
    }
}

/// Three decimals are more than these measurements can tell.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    v: u8,
    results: &'a [Measured],
}

/// Prints the document on stdout and the table on stderr.
pub(crate) fn print(results: &[Measured]) -> ExitCode {
    for Measured { name, value, unit, bound, ratio } in results {
        let bound = bound.map(|bound| format!("{bound:>12.1}")).unwrap_or_default();
        let ratio = ratio.map(|ratio| format!("{ratio:>8.2}")).unwrap_or_default();
        eprintln!("{name:<28}{value:>12.1} {unit:<20}{bound:>12}{ratio:>8}");
    }
    match serde_json::to_string(&Document { r#type: "bench", v: 1, results }) {
        Ok(document) => {
            println!("{document}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
