//! Scores of a random and of a human player, between which a human-normalised score runs from 0 to 1.
//! Source: Mnih et al. 2015 and Wang et al. 2016, Table 2 (30 no-op starts), as collected in DQN Zoo's `atari_data`.

/// `(game, random, human)` of the 57 games for which both are published.
const SCORES: [(&str, f64, f64); 57] = [
    ("alien", 227.8, 7_127.7),
    ("amidar", 5.8, 1_719.5),
    ("assault", 222.4, 742.0),
    ("asterix", 210.0, 8_503.3),
    ("asteroids", 719.1, 47_388.7),
    ("atlantis", 12_850.0, 29_028.1),
    ("bank_heist", 14.2, 753.1),
    ("battle_zone", 2_360.0, 37_187.5),
    ("beam_rider", 363.9, 16_926.5),
    ("berzerk", 123.7, 2_630.4),
    ("bowling", 23.1, 160.7),
    ("boxing", 0.1, 12.1),
    ("breakout", 1.7, 30.5),
    ("centipede", 2_090.9, 12_017.0),
    ("chopper_command", 811.0, 7_387.8),
    ("crazy_climber", 10_780.5, 35_829.4),
    ("defender", 2_874.5, 18_688.9),
    ("demon_attack", 152.1, 1_971.0),
    ("double_dunk", -18.6, -16.4),
    ("enduro", 0.0, 860.5),
    ("fishing_derby", -91.7, -38.7),
    ("freeway", 0.0, 29.6),
    ("frostbite", 65.2, 4_334.7),
    ("gopher", 257.6, 2_412.5),
    ("gravitar", 173.0, 3_351.4),
    ("hero", 1_027.0, 30_826.4),
    ("ice_hockey", -11.2, 0.9),
    ("jamesbond", 29.0, 302.8),
    ("kangaroo", 52.0, 3_035.0),
    ("krull", 1_598.0, 2_665.5),
    ("kung_fu_master", 258.5, 22_736.3),
    ("montezuma_revenge", 0.0, 4_753.3),
    ("ms_pacman", 307.3, 6_951.6),
    ("name_this_game", 2_292.3, 8_049.0),
    ("phoenix", 761.4, 7_242.6),
    ("pitfall", -229.4, 6_463.7),
    ("pong", -20.7, 14.6),
    ("private_eye", 24.9, 69_571.3),
    ("qbert", 163.9, 13_455.0),
    ("riverraid", 1_338.5, 17_118.0),
    ("road_runner", 11.5, 7_845.0),
    ("robotank", 2.2, 11.9),
    ("seaquest", 68.4, 42_054.7),
    ("skiing", -17_098.1, -4_336.9),
    ("solaris", 1_236.3, 12_326.7),
    ("space_invaders", 148.0, 1_668.7),
    ("star_gunner", 664.0, 10_250.0),
    ("surround", -10.0, 6.5),
    ("tennis", -23.8, -8.3),
    ("time_pilot", 3_568.0, 5_229.2),
    ("tutankham", 11.4, 167.6),
    ("up_n_down", 533.4, 11_693.2),
    ("venture", 0.0, 1_187.5),
    ("video_pinball", 16_256.9, 17_667.9),
    ("wizard_of_wor", 563.5, 4_756.5),
    ("yars_revenge", 3_092.9, 54_576.9),
    ("zaxxon", 32.5, 9_173.3),
];

/// Returns the scores `(random, human)` of `game`; `None` where none are published.
pub(crate) fn scores(game: &str) -> Option<(f64, f64)> {
    SCORES.iter().find(|(name, ..)| *name == game).map(|&(_, random, human)| (random, human))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_belongs_to_a_game() {
        for (game, random, human) in SCORES {
            assert!(ale_sys::GAMES.contains(&game), "{game}");
            assert!(random < human, "{game}");
        }
    }
}
