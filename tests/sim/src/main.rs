//! Runs worlds by their seeds.

use shoal_sim::{World, WorldConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut world = World::new(WorldConfig { seed: 1, managers: 3 })?;
    for _ in 0..10_000 {
        world.step();
    }
    Ok(())
}
