//! An allocator that keeps account of what is alive, by size, to say what memory is made of.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// See the module.
pub struct Ledger;

/// Sizes up to this are counted one by one.
const SMALL: usize = 4096;
/// Larger blocks that may be alive at once and are known one by one.
const LARGE: usize = 256;

static BLOCKS: [AtomicI64; SMALL + 1] = [const { AtomicI64::new(0) }; SMALL + 1];
static BIG: [AtomicUsize; LARGE] = [const { AtomicUsize::new(0) }; LARGE];

/// What is alive.
#[derive(Clone)]
pub struct Alive {
    blocks: Vec<i64>,
    big: Vec<usize>,
}

impl Alive {
    /// At this moment.
    pub fn now() -> Self {
        let blocks = BLOCKS.iter().map(|count| count.load(Ordering::Relaxed));
        let big = BIG.iter().map(|size| size.load(Ordering::Relaxed));
        Self {
            blocks: blocks.collect(),
            big: big.filter(|size| *size > 0).collect(),
        }
    }

    /// What came since: sizes and how many of each, those of most bytes first.
    pub fn since(&self, earlier: &Self) -> Vec<(usize, i64)> {
        let blocks = self.blocks.iter().zip(&earlier.blocks).enumerate();
        let mut came: Vec<(usize, i64)> = blocks
            .map(|(size, (now, then))| (size, now - then))
            .filter(|(_, count)| *count != 0)
            .collect();
        let mut old = earlier.big.clone();
        for size in &self.big {
            match old.iter().position(|other| other == size) {
                Some(place) => drop(old.swap_remove(place)),
                None => came.push((*size, 1)),
            }
        }
        came.sort_by_key(|(size, count)| -(*size as i64 * count));
        came
    }
}

/// What glibc takes for a block of this size: 8 bytes more, in steps of 16, at least 32 (malloc.c,
/// "chunk"); what is mapped for itself, in pages.
pub const fn in_the_heap(size: usize) -> usize {
    if size >= 128 * 1024 {
        return (size + 16).next_multiple_of(4096);
    }
    let chunk = (size + 8).next_multiple_of(16);
    if chunk < 32 { 32 } else { chunk }
}

fn came(size: usize) {
    if size <= SMALL {
        BLOCKS[size].fetch_add(1, Ordering::Relaxed);
    } else {
        swap(0, size);
    }
}

fn went(size: usize) {
    if size <= SMALL {
        BLOCKS[size].fetch_sub(1, Ordering::Relaxed);
    } else {
        swap(size, 0);
    }
}

fn swap(from: usize, to: usize) {
    let free = |slot: &&AtomicUsize| {
        slot.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    };
    // A block too many is not in the account.
    let _ = BIG.iter().find(free);
}

// SAFETY: hands everything on to the system's allocator; the account touches no heap.
unsafe impl GlobalAlloc for Ledger {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        came(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        went(layout.size());
        came(size);
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        went(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(at, layout) }
    }
}
