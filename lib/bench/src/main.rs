//! What `scripts/bench` runs: primitives, the bound they set, and how close the programs come.

mod primitives;

fn main() {
    let p = primitives::Primitives::measure();
    eprintln!(
        "box {:.2} us tls {:.2} us verify {:.2} us bound {:.0}/s",
        p.box_pass * 1e6,
        p.tls_pass * 1e6,
        p.verify * 1e6,
        1.0 / p.delivered_message()
    );
}
