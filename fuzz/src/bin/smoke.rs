//! Runs every target over altered test vectors and documents: `smoke [--iterations N] [--seed N] [--target NAME] [--input HEX]`.
//!
//! First every vector as it is, then `N` altered ones for each target, half of them from vectors that it accepts.
//! The same seed makes the same inputs. Exits with 1 and prints target, seed and input when a target panics;
//! `--target NAME --input HEX` then repeats that one run.

use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use fuzz::{TARGETS, Target};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/vectors");
/// Where documents are.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/cases");
/// What links and members say, of which there are no vectors.
const PAYLOADS: [&str; 14] = [
    r#"{"groupProfile":{"displayName":"walks","fullName":""},"publicGroupData":{"publicMemberCount":3}}"#,
    r#"{"relayProfile":{"displayName":"relay","fullName":"","image":"data:image/png;base64,AAAA"}}"#,
    r#"{"v":"1-17","msgId":"REEwT0R4QVJFaE1VRlJZWA==","event":"x.grp.leave","params":{}}"#,
    r#"{"v":"9","event":"x.grp.mem.role","params":{"memberId":"YQ==","role":"admin","rosterVersion":4}}"#,
    r#"{"event":"x.msg.new","params":{"content":{"type":"text","text":"a"},"scope":{"type":"member","memberId":"YQ=="},
        "quote":{"msgRef":{"msgId":"YQ==","sentAt":"2026-01-01T00:00:00.5Z","sent":true},"content":{"type":"x"}}}}"#,
    r#"{"v":"9","msgId":"YQ==","event":"x.msg.new","params":{"content":{"type":"text","text":"a"},"asGroup":true}}"#,
    r#"{"v":"9","msgId":"Yg==","event":"x.msg.react","params":{"msgId":"YQ==","add":true,
        "reaction":{"type":"emoji","emoji":"+"}}}"#,
    r#"{"v":"9","event":"x.grp.mem.new","params":{"memberInfo":{"memberId":"c29tZWJvZHk=","memberRole":"author",
        "profile":{"displayName":"somebody","fullName":""}}}}"#,
    r#"{"event":"x.grp.msg.forward","params":{"msg":{"event":"x.ok","params":{}},"msgTs":"2026-01-01T00:00:00Z"}}"#,
    r#"[{"event":"x.ok","params":{}},{"event":"x.later","params":{"a":[null,1e3,"b"]}}]"#,
    ">M\u{1}a\u{5}Alice\0\0\0\0\u{69}\u{55}\0\0{\"event\":\"x.ok\",\"params\":{}}",
    "=\u{2}\0\u{1c}{\"event\":\"x.ok\",\"params\":{}}\0\u{8}F\0\u{1}a\u{1}abc",
    "/G\u{1}M@kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk{\"event\":\"x.ok\",\"params\":{}}",
    "\0\u{1}\u{1}a,0*0\u{5}\u{6}\u{3}+ep\u{3}!\0kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\u{5}admin\0\0",
];
/// Longer vectors are mostly padding.
const LONGEST_SEED: usize = 4096;
/// Bytes that decoders look for: flags, separators, ends of ranges.
const TELLING: &[u8] = b"\x00\x01\x7f\x80\xff01TFMC ,:;=&@/#.%";

struct Options {
    iterations: u64,
    seed: u64,
    target: Option<String>,
    input: Option<Vec<u8>>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { iterations: 2000, seed: 1, target: None, input: None };
    let mut arguments = env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let number = value.parse().map_err(|_| format!("{name} needs a number"));
        match name.as_str() {
            "--iterations" => options.iterations = number?,
            "--seed" => options.seed = number?,
            "--target" => options.target = Some(value),
            "--input" => options.input = Some(from_hex(&value).ok_or("--input needs hex")?),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    let known = |name: &String| TARGETS.iter().any(|(target, _)| target == name);
    match &options.target {
        Some(name) if !known(name) => Err(format!("unknown target {name}")),
        _ => Ok(options),
    }
}

/// Marsaglia's xorshift64*.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.next() as u8 }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Every string in the test vectors, as bytes if it is hex and as text.
fn seeds() -> std::io::Result<Vec<Vec<u8>>> {
    let mut seeds = vec![Vec::new()];
    let mut files: Vec<_> = fs::read_dir(Path::new(VECTORS))?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let content = fs::read_to_string(file.path())?;
        let strings = content.split('"').skip(1).step_by(2);
        seeds.extend(strings.map(|string| from_hex(string).unwrap_or_else(|| string.into())));
    }
    seeds.retain(|seed| seed.len() <= LONGEST_SEED);
    seeds.extend(documents(Path::new(CASES))?);
    seeds.extend(PAYLOADS.map(|json| json.as_bytes().to_vec()));
    seeds.sort();
    seeds.dedup();
    Ok(seeds)
}

/// What the golden cases read.
fn documents(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(documents(&path)?);
        } else if path.ends_with("stdin") || path.extension().is_some_and(|extension| extension == "json") {
            found.push(fs::read(path)?);
        }
    }
    found.sort();
    Ok(found)
}

/// A seed after up to six alterations; half of the seeds come from `liked`.
fn altered(random: &mut Xorshift, liked: &[&[u8]], seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = match random.below(2) {
        0 => liked[random.below(liked.len())].to_vec(),
        _ => seeds[random.below(seeds.len())].clone(),
    };
    for _ in 0..random.below(7) {
        alter(&mut bytes, random, seeds);
    }
    bytes
}

fn alter(bytes: &mut Vec<u8>, random: &mut Xorshift, seeds: &[Vec<u8>]) {
    let at = random.below(bytes.len() + 1);
    let length = random.below(9).min(bytes.len() - at);
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..at + length)),
        2 => bytes.insert(at, random.byte()),
        3 => bytes.splice(at..at, bytes[at..at + length].to_vec()).for_each(drop),
        4 => {
            let other = &seeds[random.below(seeds.len())];
            bytes.truncate(at);
            bytes.extend(&other[random.below(other.len() + 1)..]);
        }
        5 if at < bytes.len() => bytes[at] = random.byte(),
        6 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        _ if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.byte()),
        _ => bytes.push(random.byte()),
    }
}

/// One target under one seed.
struct Run<'a> {
    name: &'a str,
    target: Target,
    seed: u64,
}

impl Run<'_> {
    /// Whether the target accepts the input; an error if it panics.
    fn accepts(&self, input: &[u8]) -> Result<bool, String> {
        catch_unwind(|| (self.target)(input)).map_err(|_| {
            let Run { name, seed, .. } = self;
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("target {name} failed with seed {seed}; repeat with --target {name} --input '{hex}'")
        })
    }

    /// The seeds as they are, then altered ones.
    fn explore(&self, seeds: &[Vec<u8>], iterations: u64) -> Result<(), String> {
        let mut liked = Vec::new();
        for seed in seeds {
            if self.accepts(seed)? {
                liked.push(seed.as_slice());
            }
        }
        if liked.is_empty() {
            return Err(format!("target {} accepts none of the test vectors", self.name));
        }
        // Zero would stay zero.
        let mut random = Xorshift(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..iterations).try_for_each(|_| self.accepts(&altered(&mut random, &liked, seeds)).map(drop))
    }
}

/// Runs what the options ask for and returns the failures.
fn run(options: &Options) -> Result<Vec<String>, String> {
    let seeds = seeds().map_err(|error| format!("{VECTORS}: {error}"))?;
    let chosen = |name: &str| options.target.as_deref().is_none_or(|target| target == name);
    let runs = TARGETS.iter().filter(|(name, _)| chosen(name));
    let outcomes = runs.map(|(name, target)| {
        let run = Run { name, target: *target, seed: options.seed };
        match &options.input {
            Some(input) => run.accepts(input).map(drop),
            None => run.explore(&seeds, options.iterations),
        }
    });
    Ok(outcomes.filter_map(Result::err).collect())
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            failures.iter().for_each(|failure| eprintln!("smoke: {failure}"));
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("smoke: {message}");
            ExitCode::from(2)
        }
    }
}
