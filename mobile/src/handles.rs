//! Numbers that stand for what is open, for callers who cannot hold Rust's references.
//!
//! A handle is a place in a table and the place's generation. Whoever closes it raises the generation, so that the number never
//! stands for anything else: calls with it are `Closed`, however late they come. Looking one up takes the place's own lock for as
//! long as a clone takes, so that calls on different objects never wait for each other, and nobody who closes one waits for a call.
//! A call that is under way when its handle is closed ends with what it has: the object lives for as long as it does.

use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use lightning_db::{Error, Result};

/// Places in the first chunk; each further one has twice as many.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 15;
/// So many may be open at once.
const PLACES_MAX: usize = FIRST_CHUNK * ((1 << CHUNKS) - 1);

/// What is open, by number.
pub struct Handles<T> {
    /// Places do not move: they are found without a lock.
    chunks: [OnceLock<Chunk<T>>; CHUNKS],
    free: Mutex<Free>,
}

type Chunk<T> = Box<[RwLock<Place<T>>]>;

struct Place<T> {
    generation: u32,
    object: Option<T>,
}

struct Free {
    /// Given back, and to be used first.
    returned: Vec<u32>,
    /// From here on no place was ever used.
    unused: u32,
}

impl<T: Clone> Handles<T> {
    pub const fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS], free: Mutex::new(Free { returned: Vec::new(), unused: 0 }) }
    }

    /// A handle of `object`, never 0.
    pub fn insert(&self, object: T) -> Result<u64> {
        let index = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            match free.returned.pop() {
                Some(index) => index,
                None if (free.unused as usize) < PLACES_MAX => {
                    free.unused += 1;
                    free.unused - 1
                }
                None => {
                    let limit = PLACES_MAX as u64;
                    return Err(Error::LimitExceeded { what: "the number of open objects", value: limit + 1, limit });
                }
            }
        };
        let place = self.place(index).ok_or(Error::Closed)?;
        let mut place = place.write().unwrap_or_else(PoisonError::into_inner);
        place.object = Some(object);
        Ok(u64::from(place.generation) << 32 | u64::from(index + 1))
    }

    /// What `handle` stands for.
    pub fn get(&self, handle: u64) -> Result<T> {
        let (generation, place) = self.find(handle).ok_or(Error::Closed)?;
        let place = place.read().unwrap_or_else(PoisonError::into_inner);
        match &place.object {
            Some(object) if place.generation == generation => Ok(object.clone()),
            _ => Err(Error::Closed),
        }
    }

    /// Gives the number up; what it stood for, if it stood for anything.
    pub fn remove(&self, handle: u64) -> Option<T> {
        let (generation, place) = self.find(handle)?;
        let (object, is_used_up) = {
            let mut place = place.write().unwrap_or_else(PoisonError::into_inner);
            if place.generation != generation {
                return None;
            }
            let object = place.object.take()?;
            place.generation = generation.wrapping_add(1);
            (object, place.generation == u32::MAX)
        };
        // A place that has had every generation is not used again.
        if !is_used_up {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).returned.push((handle as u32).wrapping_sub(1));
        }
        Some(object)
    }

    /// How many objects have a number; no more than an estimate while others open and close.
    pub fn len(&self) -> u64 {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        u64::from(free.unused) - free.returned.len() as u64
    }

    /// Gives up the numbers of all objects that `is_meant`; drops the objects.
    pub fn remove_all(&self, is_meant: impl Fn(&T) -> bool) {
        for (chunk, places) in self.chunks.iter().enumerate() {
            let Some(places) = places.get() else { return };
            for (at, place) in places.iter().enumerate() {
                let generation = {
                    let place = place.read().unwrap_or_else(PoisonError::into_inner);
                    place.object.as_ref().is_some_and(&is_meant).then_some(place.generation)
                };
                if let Some(generation) = generation {
                    let index = at + (FIRST_CHUNK << chunk) - FIRST_CHUNK;
                    drop(self.remove(u64::from(generation) << 32 | (index as u64 + 1)));
                }
            }
        }
    }

    fn find(&self, handle: u64) -> Option<(u32, &RwLock<Place<T>>)> {
        let index = (handle as u32).checked_sub(1)?;
        let (chunk, at) = position(index)?;
        // One that was never made has no place.
        Some(((handle >> 32) as u32, self.chunks.get(chunk)?.get()?.get(at)?))
    }

    fn place(&self, index: u32) -> Option<&RwLock<Place<T>>> {
        let (chunk, at) = position(index)?;
        let places = self.chunks.get(chunk)?.get_or_init(|| {
            (0..FIRST_CHUNK << chunk).map(|_| RwLock::new(Place { generation: 0, object: None })).collect()
        });
        places.get(at)
    }
}

/// Which chunk a place is in, and where in it.
fn position(index: u32) -> Option<(usize, usize)> {
    let shifted = index as usize + FIRST_CHUNK;
    let chunk = shifted.checked_ilog2()? as usize - FIRST_CHUNK.ilog2() as usize;
    (chunk < CHUNKS).then_some((chunk, shifted - (FIRST_CHUNK << chunk)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_number_stands_for_one_object_alone() {
        let handles = Handles::new();
        let first = handles.insert("first").unwrap();
        assert_eq!(handles.get(first), Ok("first"));
        assert_eq!(handles.remove(first), Some("first"));
        let second = handles.insert("second").unwrap();
        assert_eq!(first as u32, second as u32, "its place is used again");
        assert_eq!(handles.get(first), Err(Error::Closed));
        assert_eq!(handles.remove(first), None);
        assert_eq!(handles.get(second), Ok("second"));
        assert_eq!(handles.len(), 1);
    }

    #[test]
    fn numbers_that_were_never_given_out_stand_for_nothing() {
        let handles = Handles::new();
        handles.insert(1).unwrap();
        for wrong in [0, 2, 65, 64 * 3 + 1, u64::from(u32::MAX), u64::MAX, 1 << 32, 1 << 32 | 1] {
            assert_eq!(handles.get(wrong), Err(Error::Closed), "{wrong}");
            assert_eq!(handles.remove(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn many_are_found_at_their_own_places() {
        let handles = Handles::new();
        let all: Vec<u64> = (0..10_000).map(|object| handles.insert(object).unwrap()).collect();
        for (object, handle) in all.iter().enumerate() {
            assert_eq!(handles.get(*handle), Ok(object));
        }
        let mut places: Vec<u32> = all.iter().map(|handle| *handle as u32).collect();
        places.dedup();
        assert_eq!(places.len(), all.len());
        assert_eq!(position((PLACES_MAX - 1) as u32).map(|(chunk, _)| chunk), Some(CHUNKS - 1));
        assert_eq!(position(PLACES_MAX as u32), None);
    }

    #[test]
    fn those_that_are_meant_are_removed_and_no_others() {
        let handles = Handles::new();
        let all: Vec<u64> = (0..500).map(|object| handles.insert(object).unwrap()).collect();
        handles.remove_all(|object| object % 3 == 0);
        for (object, handle) in all.iter().enumerate() {
            assert_eq!(handles.get(*handle).is_ok(), object % 3 != 0, "{object}");
        }
    }

    #[test]
    fn threads_that_open_and_close_never_see_the_object_of_another() {
        let handles: Arc<Handles<Arc<AtomicU64>>> = Arc::new(Handles::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let handles = Arc::clone(&handles);
                std::thread::spawn(move || {
                    for _ in 0..2_000 {
                        let handle = handles.insert(Arc::new(AtomicU64::new(0))).unwrap();
                        handles.get(handle).unwrap().store(handle, Ordering::Relaxed);
                        assert_eq!(handles.get(handle).unwrap().load(Ordering::Relaxed), handle);
                        assert!(handles.remove(handle).is_some());
                        assert!(handles.get(handle).is_err());
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
