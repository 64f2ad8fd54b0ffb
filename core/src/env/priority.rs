//! Which threads go first where there are more than processors.

/// From now on the threads of this process that do not stand behind go before this one where there is no processor for all. It
/// is never left without any: with this number it has a tenth of what another thread has that wants the same processor.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn stand_behind() {
    use rustix::process::{getpriority_process, setpriority_process};
    /// Added to the thread's own "nice".
    const BEHIND: i32 = 10;
    // Here a priority is a thread's, and nobody is refused a lower one.
    if let Ok(nice) = getpriority_process(None) {
        _ = setpriority_process(None, (nice + BEHIND).min(19));
    }
}

/// Elsewhere a priority is that of the whole process, or takes calls that are `unsafe`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn stand_behind() {}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stands_behind_others_and_they_stay_where_they_were() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let behind = std::thread::spawn(move || {
            stand_behind();
            nice()
        });
        assert_eq!(behind.join().unwrap(), (before + 10).min(19));
        assert_eq!(nice(), before);
    }
}
