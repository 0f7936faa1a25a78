//! The world: owns planes, network, disks, clock and chance, and makes them happen, one event a step.

use shoal_manager_core::{ControlPlane, PlaneConfig, RestoreError, Restored};
use shoal_proto::model::{Id, NodeId, Timestamp};

use crate::draw::Draw;
use crate::queue::Queue;

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
pub struct WorldConfig {
    /// Everything else follows from it.
    pub seed: u64,
    /// Hosts that are managers from the start.
    pub managers: usize,
}

/// A swarm and its surroundings.
#[derive(Debug)]
pub struct World {
    draw: Draw,
    queue: Queue<Event>,
    planes: Vec<ControlPlane>,
}

#[derive(Debug)]
enum Event {
    Tick { plane: usize },
}

impl World {
    /// Everything as it is before the swarm is made.
    ///
    /// # Errors
    /// When a plane refuses an empty log.
    pub fn new(config: WorldConfig) -> Result<Self, RestoreError> {
        let mut draw = Draw::new(config.seed);
        let mut planes = Vec::new();
        let mut queue = Queue::new(Timestamp(0));
        for plane in 0..config.managers {
            let seed = [draw.bits(), draw.bits(), draw.bits(), draw.bits()];
            let node = NodeId::from_random(draw.wide_bits());
            let settings = PlaneConfig::new(draw.bits() | 1, node, seed);
            queue.plan(settings.tick, Event::Tick { plane });
            planes.push(ControlPlane::new(settings, Restored::default())?);
        }
        Ok(Self { draw, queue, planes })
    }

    /// Makes the next event happen; false when nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        let Some(event) = self.queue.take() else { return false };
        match event {
            Event::Tick { plane } => {
                let now = self.queue.now();
                let outputs = self.planes[plane].handle(now, shoal_manager_core::Input::Tick);
                let late = self.draw.micros(0..1000);
                self.queue.plan(self.planes[plane].config().tick + late, Event::Tick { plane });
                drop(outputs);
            }
        }
        true
    }
}
