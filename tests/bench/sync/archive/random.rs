//! Random choices that are the same in every run.

use fastrand::Rng;

/// Returns the generator for one purpose: equal names give equal choices.
pub(crate) fn rng(purpose: &str) -> Rng {
    let hash = blake3::hash(purpose.as_bytes());
    Rng::with_seed(u64::from_le_bytes(
        hash.as_bytes()[..8]
            .try_into()
            .expect("a hash has 32 bytes"),
    ))
}

/// Returns one of `items`, the first ones more often, as words are.
pub(crate) fn pick<'a, T>(rng: &mut Rng, items: &'a [T]) -> &'a T {
    &items[(items.len() as f64 * rng.f64().powi(2)) as usize]
}

/// Returns a size whose logarithm is spread normally: many small ones, a few large ones.
pub(crate) fn log_normal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    median * (sigma * radius * (std::f64::consts::TAU * rng.f64()).cos()).exp()
}

pub(crate) fn uuid(rng: &mut Rng) -> String {
    uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes())
        .into_uuid()
        .to_string()
}

/// Returns text that no compressor makes much smaller: signatures and pictures.
pub(crate) fn base64(rng: &mut Rng, length: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(length + 10);
    while text.len() < length {
        let mut bits = rng.u64(..);
        for _ in 0..10 {
            text.push(char::from(DIGITS[(bits & 63) as usize]));
            bits >>= 6;
        }
    }
    text.truncate(length);
    text
}
