//! Time and randomness from JavaScript.

use lightning_db::env::{Clock, Entropy};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(buf: &mut [u8]);
}

/// `crypto.getRandomValues` fills no more at once.
const RANDOM_BYTES_MAX: usize = 65_536;

/// `Date.now` and `performance.now`.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsClock;

impl Clock for JsClock {
    fn wall_ms(&self) -> u64 {
        js_sys::Date::now() as u64
    }

    fn monotonic_ns(&self) -> u64 {
        (performance_now() * 1e6) as u64
    }
}

/// `crypto.getRandomValues`.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsEntropy;

impl Entropy for JsEntropy {
    fn fill(&self, buf: &mut [u8]) {
        buf.chunks_mut(RANDOM_BYTES_MAX).for_each(get_random_values);
    }
}
