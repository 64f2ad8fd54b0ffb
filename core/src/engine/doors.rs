//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::archive::{ArchiveGap, ArchiveOptions, ArchiveRecord, Retained};
use super::named::Named;
use super::record::CheckpointRecord;
use super::values::{BLOCK_BYTES, extent_of};
use super::version::Layers;
use crate::codec::checksum::{Checksum, Digest};
use crate::codec::cipher::{Envelope, Proof};
use crate::codec::slot::ValueRef;
use crate::hashing::HashMap;
use crate::increment::Place;
use crate::log::doors::{reseal_log, starts};
use crate::space::SECTOR_BYTES;
use crate::space::doors::{any_superblocks, put_superblock};
use crate::tree::doors::{children, is_plain, value_references};
use crate::tree::node::Node;
use crate::tree::{NodeRef, Root, Seal};

/// Decodes a checkpoint record; the first byte says by which checksum things are proven.
pub fn checkpoint_record(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let checksum = Checksum::ALL[usize::from(how) % Checksum::ALL.len()];
    let mut bytes = bytes.to_vec();
    CheckpointRecord::reseal(&mut bytes, checksum);
    let Ok(record) = CheckpointRecord::decode(&bytes, 0, checksum) else { return };
    let again = record.encode();
    let after = CheckpointRecord::decode(&again, 0, checksum).unwrap();
    assert_eq!(after.encode(), again, "a record comes back");
    assert!(again.len() <= bytes.len(), "a record of {} bytes out of {}", again.len(), bytes.len());
}

/// As [`checkpoint_record`], of the part of a record that proves itself, with whatever behind it.
pub fn record_head(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let checksum = Checksum::ALL[usize::from(how) % Checksum::ALL.len()];
    let mut bytes = bytes.to_vec();
    CheckpointRecord::reseal(&mut bytes, checksum);
    let head = CheckpointRecord::salvage(&bytes, checksum);
    if let Ok(mut record) = CheckpointRecord::decode(&bytes, 0, checksum) {
        record.map_pages.clear();
        record.pending.clear();
        let head = head.as_ref().map(CheckpointRecord::encode);
        assert_eq!(head, Some(record.encode()), "a whole record has a head, which says the same");
    }
    let Some(head) = head else { return };
    let again = head.encode();
    let after = CheckpointRecord::decode(&again, 0, checksum).unwrap();
    assert_eq!(after.encode(), again, "the head of a record is a record without a map");
    assert!(again.len() <= bytes.len() + 2, "the head is of {} bytes out of {}", again.len(), bytes.len());
}

/// Decodes the reference to a value.
pub fn value_reference(bytes: &[u8]) {
    let Some(value) = ValueRef::decode(bytes) else { return };
    let mut again = Vec::new();
    value.encode(&mut again);
    assert_eq!(again, bytes, "a reference has one form");
    assert!(ValueRef::is_encoded_len(bytes.len()));
    let _ = extent_of(&value);
}

/// Makes the checksums right of everything that the superblocks of `data` lead to, and of `log`, as far as it can be
/// found: what is damaged in the structure of such files is not kept out by a checksum any more.
pub fn reseal(data: &mut [u8], log: &mut [u8]) {
    for (at, mut superblock) in any_superblocks(data) {
        let (checksum, database_id) = (superblock.features.checksum(), superblock.database_id);
        if checksum.is_tag() {
            // Nobody without the key makes a tag right.
            continue;
        }
        let seal = Seal { checksum, database_id, envelope: Envelope::Plain };
        let mut chains = Vec::new();
        if let Some(record) = extent_bytes(data, superblock.record.0.offset, superblock.record.0.len) {
            let mut resealing = Resealing { data: &mut *data, seal: seal.clone(), done: HashMap::default() };
            let sealed = resealing.record(&record, &mut chains);
            let place = superblock.record.0.offset as usize..superblock.record.0.offset as usize + sealed.len();
            superblock.record.1 = Proof::plain(seal.checksum.of(&[&sealed]));
            data[place].copy_from_slice(&sealed);
            put_superblock(data, at, &superblock);
        }
        reseal_log(log, &superblock.database_id, &chains);
    }
}

/// The parts of a database's data file that decoders read, each with the name of the door it is a seed for.
pub fn seeds(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut data = data.to_vec();
    let mut seeds = Vec::new();
    let Some((at, superblock)) = any_superblocks(&mut data).pop() else { return seeds };
    seeds.push(("superblock", data[at..at + 256].to_vec()));
    let Some(record) = extent_bytes(&data, superblock.record.0.offset, superblock.record.0.len) else { return seeds };
    let checksum = superblock.features.checksum();
    if checksum.is_tag() {
        return seeds;
    }
    let how = Checksum::ALL.iter().position(|other| *other == checksum).unwrap_or(0) as u8;
    seeds.push(("checkpoint_record", [&[how], record.as_slice()].concat()));
    let Ok(record) = CheckpointRecord::decode(&record, 0, checksum) else { return seeds };
    let mut with_all = record.clone();
    with_all.archive = Some(alloc::boxed::Box::new(ArchiveRecord {
        options: ArchiveOptions { folder: "elsewhere".into(), keep_ms: Some(5), ..ArchiveOptions::default() },
        archived: Place { incarnation: 7, sequence: 1 },
        gap: Some(ArchiveGap { after: 1, until: 2, time_ms: 3 }),
        retained: Vec::from([Retained { sequence: 1, until_ms: 9 }]),
    }));
    let (extent, layers) = (superblock.record.0, Layers { base: record.base, ..Layers::default() });
    with_all.named.push(Arc::new(Named {
        name: "before".into(),
        sequence: 1,
        time_ms: 2,
        checkpoint: 1,
        layers: Arc::new(layers),
        bitmap: (extent, superblock.record.1),
        sectors: None,
    }));
    seeds.push(("checkpoint_record", [&[how], with_all.encode().as_slice()].concat()));
    for &(offset, _) in &record.map_pages {
        let page = extent_bytes(&data, offset, 60).unwrap_or_default();
        let actions = [0, 10, 0, 0, 0, 1, 0, 90, 0, 0, 3, 0, 0, 0, 0, 5, 1, 2, 3, 4, 2, 0, 0, 16, 0, 0, 1, 1, 0, 0];
        seeds.push(("space", [&[60], page.as_slice(), &actions].concat()));
    }
    let runs = record.runs.iter().flat_map(|layer| [layer.run.points, layer.run.intervals]);
    let mut nodes: Vec<NodeRef> = core::iter::once(record.base).chain(runs).flatten().map(|root| root.node).collect();
    while let Some(reference) = nodes.pop() {
        let Some(stored) = extent_bytes(&data, reference.offset, u64::from(reference.len)) else { continue };
        if let Ok(node) = Node::from_stored(stored.clone(), None) {
            nodes.extend(children(&node).iter().take(2).map(|(child, _)| *child));
            for (value, _) in value_references(&node) {
                let mut reference = Vec::new();
                value.encode(&mut reference);
                seeds.push(("value_reference", reference));
            }
        }
        if is_plain(&stored) {
            seeds.push(("node_compressed", [&[how], stored.as_slice()].concat()));
        }
        seeds.push(("node", stored));
    }
    seeds
}

fn extent_bytes(data: &[u8], offset: u64, len: u64) -> Option<Vec<u8>> {
    let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    // Neither of the superblocks, which are resealed by themselves.
    let bytes = data.get(offset..offset.checked_add(len)?)?;
    (offset >= 2 * SECTOR_BYTES as usize).then(|| bytes.to_vec())
}

struct Resealing<'d> {
    data: &'d mut [u8],
    seal: Seal,
    /// Nodes by place and length, so that one that many lead to is resealed once.
    done: HashMap<(u64, u32), Digest>,
}

impl Resealing<'_> {
    /// The record with right checksums of all it leads to, and where the chains of the log begin that it names.
    fn record(&mut self, bytes: &[u8], chains: &mut Vec<crate::log::LogPosition>) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        CheckpointRecord::reseal(&mut bytes, self.seal.checksum);
        let Ok(mut record) = CheckpointRecord::decode(&bytes, 0, self.seal.checksum) else { return bytes };
        chains.extend(starts(&record.sealed, record.log));
        self.root(record.base.as_mut());
        for layer in &mut record.runs {
            let mut run = (*layer.run).clone();
            self.root(run.points.as_mut());
            self.root(run.intervals.as_mut());
            layer.run = run.into();
        }
        for named in &mut record.named {
            let mut one = (**named).clone();
            let mut layers = (*one.layers).clone();
            self.root(layers.base.as_mut());
            one.layers = layers.into();
            if let Some(bitmap) = extent_bytes(self.data, one.bitmap.0.offset, one.bitmap.0.len) {
                one.bitmap.1 = Proof::plain(self.seal.checksum.of(&[&bitmap]));
            }
            *named = one.into();
        }
        for (offset, proof) in &mut record.map_pages {
            if let Some(page) = extent_bytes(self.data, *offset, SECTOR_BYTES) {
                *proof = Proof::plain(self.seal.checksum.of(&[&page]));
            }
        }
        let mut encoded = record.encode();
        encoded.resize(bytes.len().max(encoded.len()), 0);
        encoded.truncate(bytes.len());
        encoded
    }

    fn root(&mut self, root: Option<&mut Root>) {
        if let Some(root) = root {
            root.node.checksum = self.node(&root.node, 16);
        }
    }

    fn node(&mut self, reference: &NodeRef, depth: u8) -> Digest {
        let place = (reference.offset, reference.len);
        if let Some(digest) = self.done.get(&place) {
            return *digest;
        }
        let Some(mut stored) = extent_bytes(self.data, reference.offset, u64::from(reference.len)) else {
            return reference.checksum;
        };
        // Before what lies below it: a node that leads to itself ends here.
        self.done.insert(place, reference.checksum);
        if is_plain(&stored)
            && depth > 0
            && let Ok(node) = Node::from_stored(stored.clone(), None)
        {
            for (child, at) in children(&node) {
                put_digest(&mut stored, at, self.node(&child, depth - 1));
            }
            for (value, at) in value_references(&node) {
                if let Some(digest) = self.value(&value) {
                    put_digest(&mut stored, at + 16, digest);
                }
            }
        }
        let digest = self.seal.digest(&stored, reference.offset);
        stored.iter_mut().zip(digest.first_bytes()).for_each(|(to, from)| *to = from);
        self.data[reference.offset as usize..][..stored.len()].copy_from_slice(&stored);
        self.done.insert(place, digest);
        digest
    }

    fn value(&mut self, value: &ValueRef) -> Option<Digest> {
        let kind = value.checksum.kind();
        let bytes = extent_bytes(self.data, value.offset, value.len)?;
        let mut table = Vec::new();
        bytes.chunks(BLOCK_BYTES).for_each(|block| kind.of(&[block]).encode(&mut table));
        let at = usize::try_from(value.offset.checked_add(value.len)?).ok()?;
        self.data.get_mut(at..at.checked_add(table.len())?)?.copy_from_slice(&table);
        Some(kind.of(&[&table]))
    }
}

fn put_digest(stored: &mut [u8], at: usize, digest: Digest) {
    let mut bytes = Vec::new();
    digest.encode(&mut bytes);
    if let Some(to) = stored.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(&bytes);
    }
}
