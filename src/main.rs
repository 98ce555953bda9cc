fn main() {
    println!("zkops");
}
