pub mod module;
pub mod outline;
pub mod parts;
pub mod points;
pub mod shape;

use module::Module;
use points::Points;

/// The first of the groups of marks in which an instruction ran, or how many groups there are.
pub fn rank(module: &Module<'_>, points: &Points, groups: &[Vec<Vec<u8>>]) -> outline::Ranks {
    let mut first = vec![groups.len() as u8; points.count as usize];
    for (rank, group) in groups.iter().enumerate().rev() {
        for marks in group {
            for (first, mark) in first.iter_mut().zip(marks) {
                if *mark != 0 {
                    *first = rank as u8;
                }
            }
        }
    }
    let never = groups.len() as u8;
    let of = points.of.iter().zip(&module.functions);
    of.map(|(points, _)| points.iter().map(|point| point.map_or(never, |point| first[point as usize])).collect()).collect()
}
