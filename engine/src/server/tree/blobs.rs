//! Where the nodes' bytes live: packed by size into pages, so that a million small nodes cost
//! neither a heap block nor a 16-byte pointer each. A blob never moves and never changes its length.
//! It knows nothing of nodes, and does not say what the bytes mean.

/// The handle of stored bytes. Empty blobs own no storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Blob {
    slot: u32,
    len: u32,
}

impl Blob {
    pub(super) fn len(self) -> usize {
        self.len as usize
    }
}

/// All blobs of one tree.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    /// Class `i` holds slots of `(i + 1) * STEP` bytes.
    classes: Vec<Class>,
    large: Vec<Box<[u8]>>,
    large_free: Vec<u32>,
}

impl Blobs {
    /// Stores `head` and `tail` back to back.
    pub(super) fn put(&mut self, head: &[u8], tail: &[u8]) -> Blob {
        let len = head.len() + tail.len();
        let slot = match len {
            0 => NONE,
            1..=SMALL_LEN_MAX => {
                let (slot, bytes) = self.class(len).take();
                bytes[..head.len()].copy_from_slice(head);
                bytes[head.len()..len].copy_from_slice(tail);
                slot
            }
            _ => self.put_large([head, tail].concat().into_boxed_slice()),
        };
        Blob { slot, len: index(len) }
    }

    pub(super) fn get(&self, blob: Blob) -> &[u8] {
        match blob.len() {
            0 => &[],
            len @ 1..=SMALL_LEN_MAX => &self.classes[(len - 1) / STEP].slot(blob.slot)[..len],
            _ => &self.large[blob.slot as usize],
        }
    }

    /// Gives the storage back; the handle must not be used again.
    pub(super) fn free(&mut self, blob: Blob) {
        match blob.len() {
            0 => {}
            len @ 1..=SMALL_LEN_MAX => self.class(len).give(blob.slot),
            _ => {
                self.large[blob.slot as usize] = Box::default();
                self.large_free.push(blob.slot);
            }
        }
    }

    fn class(&mut self, len: usize) -> &mut Class {
        let class = (len - 1) / STEP;
        while self.classes.len() <= class {
            self.classes.push(Class::new((self.classes.len() + 1) * STEP));
        }
        &mut self.classes[class]
    }

    fn put_large(&mut self, bytes: Box<[u8]>) -> u32 {
        if let Some(slot) = self.large_free.pop() {
            self.large[slot as usize] = bytes;
            return slot;
        }
        self.large.push(bytes);
        index(self.large.len() - 1)
    }
}

/// Slots of one size.
#[derive(Debug)]
struct Class {
    slot_len: usize,
    slots_per_page: u32,
    pages: Vec<Page>,
    /// Pages with room, the one to fill next last.
    open: Vec<u32>,
    /// Pages whose bytes were given back.
    vacant: Vec<u32>,
}

#[derive(Debug)]
struct Page {
    bytes: Box<[u8]>,
    /// First slot of the free list, which runs through the free slots themselves.
    free: u32,
    /// Slots from here on were never used, so their memory was never touched.
    fresh: u32,
    live: u32,
    /// Where this page stands in `Class::open`; `NONE` when it is full or vacant.
    open_at: u32,
}

impl Class {
    fn new(slot_len: usize) -> Class {
        let slots_per_page = index(PAGE_LEN / slot_len);
        Class { slot_len, slots_per_page, pages: Vec::new(), open: Vec::new(), vacant: Vec::new() }
    }

    fn slot(&self, slot: u32) -> &[u8] {
        let start = (slot % self.slots_per_page) as usize * self.slot_len;
        &self.pages[(slot / self.slots_per_page) as usize].bytes[start..start + self.slot_len]
    }

    fn take(&mut self) -> (u32, &mut [u8]) {
        let page_at = match self.open.last() {
            Some(page_at) => *page_at,
            None => self.open_page(),
        };
        let page = &mut self.pages[page_at as usize];
        let start = |slot: u32| slot as usize * self.slot_len;
        let slot = match page.free {
            NONE => {
                page.fresh += 1;
                page.fresh - 1
            }
            slot => {
                let mut next = [0; 4];
                next.copy_from_slice(&page.bytes[start(slot)..start(slot) + 4]);
                page.free = u32::from_ne_bytes(next);
                slot
            }
        };
        let start = start(slot);
        page.live += 1;
        if page.live == self.slots_per_page {
            self.close(page_at);
        }
        let bytes = &mut self.pages[page_at as usize].bytes[start..start + self.slot_len];
        (page_at * self.slots_per_page + slot, bytes)
    }

    fn give(&mut self, slot: u32) {
        let page_at = slot / self.slots_per_page;
        let slot = slot % self.slots_per_page;
        let page = &mut self.pages[page_at as usize];
        let start = slot as usize * self.slot_len;
        page.bytes[start..start + 4].copy_from_slice(&page.free.to_ne_bytes());
        page.free = slot;
        page.live -= 1;
        if page.open_at == NONE {
            page.open_at = index(self.open.len());
            self.open.push(page_at);
        }
        // One empty page is kept, so that a lone blob coming and going maps no memory.
        if self.pages[page_at as usize].live == 0 && self.open.len() > 1 {
            self.close(page_at);
            self.pages[page_at as usize].bytes = Box::default();
            self.vacant.push(page_at);
        }
    }

    fn open_page(&mut self) -> u32 {
        let bytes = vec![0; self.slots_per_page as usize * self.slot_len].into_boxed_slice();
        let page = Page { bytes, free: NONE, fresh: 0, live: 0, open_at: index(self.open.len()) };
        let page_at = match self.vacant.pop() {
            Some(page_at) => {
                self.pages[page_at as usize] = page;
                page_at
            }
            None => {
                self.pages.push(page);
                index(self.pages.len() - 1)
            }
        };
        self.open.push(page_at);
        page_at
    }

    /// Takes a page off the open list.
    fn close(&mut self, page_at: u32) {
        let at = std::mem::replace(&mut self.pages[page_at as usize].open_at, NONE) as usize;
        self.open.swap_remove(at);
        if let Some(moved) = self.open.get(at) {
            self.pages[*moved as usize].open_at = index(at);
        }
    }
}

/// Slot numbers and lengths are kept in 32 bits.
pub(super) fn index(n: usize) -> u32 {
    u32::try_from(n).expect("4 billion slots need more memory than a tree can have; one blob is below 2 GiB")
}

/// Blobs are rounded up to this many bytes; also what the free list needs at least.
const STEP: usize = 8;
/// Larger blobs get a heap block of their own: the rounding would no longer matter.
const SMALL_LEN_MAX: usize = 1024;
/// Large enough that the allocator maps a page for itself and gives it back when it is dropped.
const PAGE_LEN: usize = 256 * 1024;
/// "No slot" in a free list.
const NONE: u32 = u32::MAX;
