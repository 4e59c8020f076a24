//! Values that several servers take as arguments.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A time span in seconds, with decimals if need be.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.map(Seconds).ok_or("not a number of seconds")
    }
}

/// Where state is kept.
#[derive(Debug, Clone)]
pub struct StoreUrl(pub PathBuf);

impl FromStr for StoreUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("sqlite://").filter(|path| !path.is_empty());
        path.map(|path| StoreUrl(path.into())).ok_or("expected sqlite://PATH")
    }
}
