/** Folds names that are not in ASCII anew: letter case and accents of all scripts are one. The others are folded as they were. */
export const foldedNames = `
UPDATE files SET folded_name = fold_name(name)
  WHERE length(name) <> length(CAST(name AS BLOB)) AND folded_name <> fold_name(name);
`;
