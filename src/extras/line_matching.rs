//! Which lines two texts have in common. Pure.

use std::hash::Hash;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Texts whose numbers of differing lines have a larger product count as having no line in
/// common: comparing them takes too long.
const MAX_PAIRS: usize = 16_000_000;

/// Places of a line in the old and in the new text; one of them is `None` if only one has it.
pub(crate) type LinePair = (Option<usize>, Option<usize>);

/// Matches the lines of `old` with those of `new`, in order.
pub(crate) fn match_lines<T: Eq + Hash + Ord>(old: &[T], new: &[T]) -> Vec<LinePair> {
    let prefix = common_prefix(old, new);
    let suffix = common_suffix(&old[prefix..], &new[prefix..]);
    let (old_end, new_end) = (old.len() - suffix, new.len() - suffix);
    let (old_part, new_part) = (&old[prefix..old_end], &new[prefix..new_end]);
    let mut pairs: Vec<LinePair> = (0..prefix).map(|at| (Some(at), Some(at))).collect();

    if old_part.len().saturating_mul(new_part.len()) > MAX_PAIRS {
        pairs.extend((prefix..old_end).map(|at| (Some(at), None)));
        pairs.extend((prefix..new_end).map(|at| (None, Some(at))));
    } else {
        for op in capture_diff_slices(Algorithm::Myers, old_part, new_part) {
            let olds = op.old_range().map(|at| Some(prefix + at));
            let news = op.new_range().map(|at| Some(prefix + at));
            if let DiffOp::Equal { .. } = op {
                pairs.extend(olds.zip(news));
            } else {
                pairs.extend(olds.map(|at| (at, None)));
                pairs.extend(news.map(|at| (None, at)));
            }
        }
    }

    pairs.extend((0..suffix).map(|at| (Some(old_end + at), Some(new_end + at))));
    pairs
}

/// Number of equal elements at the beginning.
pub(crate) fn common_prefix<T: Eq>(a: &[T], b: &[T]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Number of equal elements at the end.
pub(crate) fn common_suffix<T: Eq>(a: &[T], b: &[T]) -> usize {
    let pairs = a.iter().rev().zip(b.iter().rev());
    pairs.take_while(|(a, b)| a == b).count()
}
