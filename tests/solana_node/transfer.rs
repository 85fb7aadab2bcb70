//! A signed transfer, built by hand from the wire format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};

pub const SYSTEM_PROGRAM: &str = "11111111111111111111111111111111";
const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A key pair.
pub struct Wallet {
    pair: Ed25519KeyPair,
    pub address: String,
}

impl Wallet {
    pub fn from_seed(seed: [u8; 32]) -> Wallet {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are a seed");
        let address = base58(pair.public_key().as_ref());
        Wallet { pair, address }
    }
    fn key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// One instruction of a message: program and accounts by their place among the keys.
struct Instruction<'a> {
    program: u8,
    accounts: &'a [u8],
    data: &'a [u8],
}

/// A legacy transaction that moves lamports, base64. Output: it, and its signature.
pub fn transfer(from: &Wallet, to: &[u8], lamports: u64, blockhash: &[u8]) -> (String, String) {
    let data = [&[2, 0, 0, 0][..], &lamports.to_le_bytes()].concat();
    let pay = Instruction { program: 2, accounts: &[0, 1], data: &data };
    sign(from, &message([1, 0, 1], &[from.key(), to, &[0; 32]], blockhash, &[pay]))
}

/// Fewer than 128 of everything, so that every length is one byte.
fn message(header: [u8; 3], keys: &[&[u8]], blockhash: &[u8], instructions: &[Instruction<'_>]) -> Vec<u8> {
    let mut out = header.to_vec();
    out.push(keys.len() as u8);
    keys.iter().for_each(|key| out.extend_from_slice(key));
    out.extend_from_slice(blockhash);
    out.push(instructions.len() as u8);
    for instruction in instructions {
        out.push(instruction.program);
        for part in [instruction.accounts, instruction.data] {
            out.push(part.len() as u8);
            out.extend_from_slice(part);
        }
    }
    out
}

fn sign(wallet: &Wallet, message: &[u8]) -> (String, String) {
    let signature = wallet.pair.sign(message);
    let wire = [&[1], signature.as_ref(), message].concat();
    (STANDARD.encode(wire), base58(signature.as_ref()))
}

pub fn base58(bytes: &[u8]) -> String {
    let mut digits: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit * 256;
            (*digit, carry) = (carry % 58, carry / 58);
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).map(|_| '1');
    zeros.chain(digits.iter().rev().map(|digit| char::from(LETTERS[*digit as usize]))).collect()
}

pub fn from_base58(text: &str) -> [u8; 32] {
    let mut out = [0_u8; 32];
    for letter in text.bytes() {
        let digit = LETTERS.iter().position(|known| *known == letter).expect("a base58 letter");
        let mut carry = digit as u32;
        for byte in out.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            (*byte, carry) = (carry as u8, carry >> 8);
        }
        assert_eq!(carry, 0, "{text} is longer than 32 bytes");
    }
    out
}

#[test]
fn a_transaction_equals_the_one_of_other_hands_byte_for_byte() {
    let payer = Wallet::from_seed([7; 32]);
    assert_eq!(payer.address, "GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB");
    assert_eq!(from_base58("LbUiWL3xVV8hTFYBVdbTNrpDo41NKS6o3LHHuDzjfcY"), [5; 32]);
    let budget = from_base58("ComputeBudget111111111111111111111111111111");
    let pay = [&[2, 0, 0, 0][..], &12_345_u64.to_le_bytes()].concat();
    let instructions = [
        Instruction { program: 3, accounts: &[], data: &[2, 0x40, 0x0d, 3, 0] },
        Instruction { program: 3, accounts: &[], data: &[3, 0xe8, 3, 0, 0, 0, 0, 0, 0] },
        Instruction { program: 2, accounts: &[0, 1], data: &pay },
    ];
    let message = message([1, 0, 2], &[payer.key(), &[9; 32], &[0; 32], &budget], &[5; 32], &instructions);
    let (wire, signature) = sign(&payer, &message);
    assert_eq!(signature, "3JyVmLWwDFNDaMScwHakQzGw2Xutu7ecuF82Kz1pKem7aMjTPSG1iXy4GCywddgH4RagqUyRymmCEfFhFiSFBnBe");
    assert_eq!(wire, VECTOR);
}

/// Made by other hands from the same keys and amounts.
const VECTOR: &str = "AXOIvhjVfiF7X3zAS9cPoqkOpmkku5hW2yGk1T1joKfjXesoiejLQQwO/Ewj9mk4AO+mx9MllkTMkU7vbJuyog0BAAIE6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iwJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwZGb+UhFzL/7K26csOb57yM5bvF9xJrLEObOkAAAAAFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQMDAAUCQA0DAAMACQPoAwAAAAAAAAICAAEMAgAAADkwAAAAAAAA";
