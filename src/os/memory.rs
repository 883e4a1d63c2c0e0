//! Memory by mmap(2) for argon2 and for large allocations, and an allocator that wipes freed memory.
//!
//! Memory from mmap(2) is zeroed, and after munmap(2) cannot be read: the kernel clears pages before it hands
//! them out again. Wiping or zeroing 64 MiB would only cost time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use argon2::Block;
use zeroizing_alloc::ZeroAlloc;

/// The program's allocator, which overwrites freed memory: the SDK and the parsers keep secrets in plain
/// strings.
#[derive(Debug)]
pub struct WipingAllocator;

static SMALL: ZeroAlloc<System> = ZeroAlloc(System);

/// A block of at least this size is a mapping of its own. One is age's buffer of a chunk: a small vault
/// uses only its beginning, and overwriting each page of the rest would be a page fault.
const LARGE: usize = 64 * 1024;

/// True for a block that is a mapping of its own. A page is aligned to 4 KiB or more.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= 4096
}

// SAFETY: a block comes from the one or the other by its layout, which is the same when it is freed; and a
// new mapping is as large as asked for, aligned, and not shared.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return map(layout.size()).map_or(std::ptr::null_mut(), NonNull::as_ptr);
        }
        // SAFETY: what the caller keeps.
        unsafe { SMALL.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return map(layout.size()).map_or(std::ptr::null_mut(), NonNull::as_ptr);
        }
        // SAFETY: what the caller keeps.
        unsafe { SMALL.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            // SAFETY: exactly the mapping that was made for this block, which is no longer used.
            unsafe { libc::munmap(block.cast(), layout.size()) };
        } else {
            // SAFETY: what the caller keeps.
            unsafe { SMALL.dealloc(block, layout) }
        }
    }
}

/// New zeroed memory; `None` if there is not enough.
fn map(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no other memory.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

/// Blocks of 1 KiB, all zero at first, returned to the kernel when dropped.
#[derive(Debug)]
pub struct Blocks {
    start: NonNull<Block>,
    count: usize,
}

impl Blocks {
    /// Memory for `count` blocks; `None` if there is not enough, or `count` is 0. With large pages, since
    /// 64 MiB are otherwise 16,384 page faults, and in no core dump.
    pub fn new(count: usize) -> Option<Self> {
        let bytes = count.checked_mul(size_of::<Block>()).filter(|bytes| *bytes > 0)?;
        let start = map(bytes)?.cast();
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_DONTDUMP] {
            // SAFETY: the range is the mapping just made. A kernel that does not know the advice does
            // without.
            unsafe { libc::madvise(start.as_ptr(), bytes, advice) };
        }
        Some(Self { start: start.cast(), count })
    }
}

impl Deref for Blocks {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        // SAFETY: `start` is page-aligned, which is more than a block asks for, the mapping is `count`
        // blocks long and lives as long as `self`, and a block is 128 integers, for which zeros are
        // valid.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl DerefMut for Blocks {
    fn deref_mut(&mut self) -> &mut [Block] {
        // SAFETY: as in `deref`; `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made, and nothing borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.count * size_of::<Block>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_kibibyte_of_zeros() {
        assert_eq!((size_of::<Block>(), 4096 % align_of::<Block>()), (1024, 0));
        let mut blocks = Blocks::new(3).unwrap();
        assert!(blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        blocks[2].as_mut()[127] = 7;
        assert_eq!((blocks.len(), blocks[2].as_ref()[127]), (3, 7));
    }

    #[test]
    fn memory_that_cannot_be_allocated_is_none() {
        assert!(Blocks::new(0).is_none());
        assert!(Blocks::new(usize::MAX).is_none());
        assert!(Blocks::new(usize::MAX / 2048).is_none());
    }
}
