//! Why `clippy.toml` bans what it bans: each function of candle here has a wrong gradient, or none.
//!
//! Each call expects its ban, so that clippy fails where a ban does not bite, and shows the fault, so that the test fails
//! once candle is right and the ban can go. What stands in for each is in the reason of its line.
use candle_core::{Device, Result, Tensor, Var};

/// 1, 2, 3, … in a variable of `dims`.
fn counting(dims: &[usize]) -> Var {
    let count = dims.iter().product::<usize>();
    let values: Vec<f32> = (1..=count).map(|i| i as f32).collect();
    Var::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// The gradient of the sum of `y` by `x`.
fn gradient(y: &Tensor, x: &Var) -> Result<Vec<f32>> {
    let store = y.sum_all()?.backward()?;
    store.get(x).expect("it is reached").flatten_all()?.to_vec1()
}

/// A call whose ban must bite.
macro_rules! banned {
    ($call:expr) => {{
        #[expect(clippy::disallowed_methods, reason = "the fault of what is banned is shown")]
        let y = $call.unwrap();
        y
    }};
}

#[test]
fn max_pool_spreads_a_quarter_of_its_gradient() {
    let x = counting(&[1, 1, 2, 2]);
    assert_eq!(gradient(&banned!(x.max_pool2d(2)), &x).unwrap(), [0.0, 0.0, 0.0, 0.25]); // not 1
    assert!(gradient(&banned!(x.max_pool2d_with_stride(2, 1)), &x).is_err());
}

#[test]
fn avg_pool_of_odd_sizes_is_an_error_or_reaches_pixels_outside_of_every_window() {
    let x = counting(&[1, 1, 3, 3]);
    let wrong = gradient(&banned!(x.avg_pool2d(2)), &x).unwrap();
    assert!(wrong[8] != 0.0, "the last pixel is in no window: {wrong:?}");
    assert!(gradient(&banned!(x.avg_pool2d_with_stride(2, 1)), &x).is_err());
}

#[test]
fn relu_is_open_at_0_and_loses_what_is_no_number() {
    let x = Var::new(&[-1.0f32, 0.0, 2.0], &Device::Cpu).unwrap();
    assert_eq!(gradient(&banned!(x.relu()), &x).unwrap(), [0.0, 1.0, 1.0]); // not 0, 0, 1
    let none = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
    assert_eq!(banned!(none.relu()).to_vec1::<f32>().unwrap(), [0.0]);
}

#[test]
fn nearest_upsampling_forgets_the_other_use_of_a_tensor() {
    let x = counting(&[1, 1, 2, 2]);
    for up in [banned!(x.upsample_nearest2d(4, 4)), banned!(x.interpolate2d(4, 4))] {
        let other = (x.as_tensor() * 10.0).unwrap().sum_all().unwrap();
        let wrong = gradient(&(up.sum_all().unwrap() + &other).unwrap(), &x).unwrap();
        let also = gradient(&(other + up.sum_all().unwrap()).unwrap(), &x).unwrap();
        assert!(wrong != [14.0; 4] || also != [14.0; 4], "{wrong:?} {also:?}");
    }
    let line = counting(&[1, 1, 2]);
    for up in [banned!(line.upsample_nearest1d(3)), banned!(line.interpolate1d(3))] {
        assert!(gradient(&up, &line).is_err(), "a broken factor has no gradient");
    }
}

#[test]
fn bilinear_upsampling_has_no_gradient() {
    let x = counting(&[1, 1, 2, 2]);
    assert!(gradient(&banned!(x.upsample_bilinear2d(4, 4, false)), &x).is_err());
    assert!(gradient(&banned!(x.upsample_bilinear2d_with_scale(2.0, 2.0, false)), &x).is_err());
}

#[test]
fn one_dimensional_transposed_convolution_has_no_gradient() {
    let (x, kernel) = (counting(&[1, 1, 4]), counting(&[1, 1, 2]));
    assert!(gradient(&banned!(x.conv_transpose1d(&kernel, 0, 0, 1, 1, 1)), &x).is_err());
}

#[test]
fn scatters_give_their_initial_tensor_each_the_others_gradient() {
    let index = Tensor::new(&[0u32, 2], &Device::Cpu).unwrap();
    let (initial, source) = (counting(&[3]), counting(&[2]));
    let set = banned!(initial.scatter(&index, &source, 0));
    assert_eq!(gradient(&set, &initial).unwrap(), [1.0, 1.0, 1.0]); // what was overwritten has none
    let added = banned!(initial.scatter_add(&index, &source, 0));
    assert!(gradient(&added, &initial).map_or(true, |g| g != [1.0, 1.0, 1.0]));
}
