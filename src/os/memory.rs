//! Memory for argon2, straight from the kernel.
//!
//! It comes zeroed and goes back by munmap(2), after which nobody can read it: the kernel clears
//! pages before it hands them out again. Wiping 64 MiB first would only cost time, as would filling
//! it with zeros.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use argon2::Block;

/// Blocks of 1 KiB, all zero at first, returned to the kernel when dropped.
#[derive(Debug)]
pub struct Blocks {
    start: NonNull<Block>,
    count: usize,
}

impl Blocks {
    /// Memory for `count` blocks, or `None` if there is not so much (or if `count` is 0).
    ///
    /// Large pages are asked for: 64 MiB are otherwise 16,384 page faults. And it is left out of any
    /// core dump.
    pub fn new(count: usize) -> Option<Self> {
        let bytes = count.checked_mul(size_of::<Block>()).filter(|bytes| *bytes > 0)?;
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
        if start == libc::MAP_FAILED {
            return None;
        }
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_DONTDUMP] {
            // SAFETY: the range is the mapping just made. A kernel that does not know the advice does
            // without.
            unsafe { libc::madvise(start, bytes, advice) };
        }
        NonNull::new(start.cast()).map(|start| Self { start, count })
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
    fn memory_that_is_not_there_is_said() {
        assert!(Blocks::new(0).is_none());
        assert!(Blocks::new(usize::MAX).is_none());
        assert!(Blocks::new(usize::MAX / 2048).is_none());
    }
}
