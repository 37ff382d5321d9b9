//! SQL statements of a crate, found in its source.
//!
//! Every statement is in the source as a literal or a constant: a statement that is assembled at run time is a fault,
//! and so is an import under which a call could hide. So the list is complete, also for new statements.

use std::{collections::HashMap, path::Path};

use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, File, ImplItemConst, ItemConst, ItemFn, ItemImpl, ItemMod, ItemUse, Lit,
    Macro, Path as SynPath, UseTree,
    visit::{self, Visit},
};

/// Functions of sqlx whose first argument is a statement.
const FUNCTIONS: [&str; 7] =
    ["query", "query_as", "query_scalar", "query_with", "query_as_with", "query_scalar_with", "raw_sql"];
/// Ways to put a statement together at run time.
const BUILDERS: [&str; 2] = ["AssertSqlSafe", "QueryBuilder"];
/// Methods of sqlx that take a statement as text, too.
const METHODS: [&str; 6] = ["execute", "execute_many", "fetch", "fetch_all", "fetch_one", "fetch_optional"];

/// A statement and the file that has it.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) file: String,
    pub(crate) sql: String,
}

/// Statements of a crate, and the code that hides some.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) statements: Vec<Statement>,
    pub(crate) faults: Vec<String>,
    constants: HashMap<String, String>,
    collecting: bool,
    file: String,
}

impl Found {
    /// Reads the modules of a crate from its root file on, without those of its tests.
    pub(crate) fn of_crate(root: &Path) -> Self {
        let mut files = Vec::new();
        modules(root, root.parent().unwrap(), &mut files);
        let mut found = Self { collecting: true, ..Self::default() };
        for (_, file) in &files {
            found.visit_file(file);
        }
        found.collecting = false;
        for (name, file) in &files {
            found.file.clone_from(name);
            found.visit_file(file);
        }
        found
    }

    /// The same of one text.
    pub(crate) fn of_text(text: &str) -> Self {
        let file = syn::parse_file(text).unwrap();
        let mut found = Self { collecting: true, ..Self::default() };
        found.visit_file(&file);
        found.collecting = false;
        found.visit_file(&file);
        found
    }

    fn fault(&mut self, what: &str) {
        if !self.collecting {
            self.faults.push(format!("{}: {what}", self.file));
        }
    }

    /// The texts that an expression can have; none if they are not known before the program runs.
    fn texts(&self, expr: &Expr) -> Option<Vec<String>> {
        match expr {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(vec![text.value()]),
                _ => None,
            },
            Expr::Path(path) => {
                let name = path.path.segments.last()?.ident.to_string();
                self.constants.get(&name).map(|text| vec![text.clone()])
            }
            Expr::Paren(inner) => self.texts(&inner.expr),
            Expr::Group(inner) => self.texts(&inner.expr),
            Expr::Block(inner) => match inner.block.stmts.as_slice() {
                [syn::Stmt::Expr(last, None)] => self.texts(last),
                _ => None,
            },
            Expr::If(branches) => {
                let then = match branches.then_branch.stmts.as_slice() {
                    [syn::Stmt::Expr(last, None)] => self.texts(last)?,
                    _ => return None,
                };
                Some([then, self.texts(&branches.else_branch.as_ref()?.1)?].concat())
            }
            Expr::Match(arms) => arms.arms.iter().try_fold(Vec::new(), |mut all, arm| {
                all.extend(self.texts(&arm.body)?);
                Some(all)
            }),
            _ => None,
        }
    }

    fn constant(&mut self, name: String, expr: &Expr) {
        if self.collecting
            && let Some([text]) = self.texts(expr).as_deref()
            && let Some(other) = self.constants.insert(name.clone(), text.clone())
            && other != *text
            && is_sql(&other)
        {
            self.faults.push(format!("two constants are called {name}: give one of them another name"));
        }
    }

    fn take(&mut self, expr: Option<&Expr>) {
        match expr.and_then(|expr| self.texts(expr)) {
            _ if self.collecting => {}
            Some(texts) => {
                let file = self.file.clone();
                self.statements.extend(texts.into_iter().map(|sql| Statement { file: file.clone(), sql }));
            }
            None => self.fault("a statement that is neither a literal nor a constant"),
        }
    }
}

fn is_sql(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE", "PRAGMA", "VACUUM", "CREATE"].contains(&first)
}

fn of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<SynPath>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Follows `mod name;` from a file on.
fn modules(path: &Path, children: &Path, files: &mut Vec<(String, File)>) {
    let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
    for item in &file.items {
        let syn::Item::Mod(module) = item else { continue };
        if of_tests(&module.attrs) || module.content.is_some() {
            continue;
        }
        let name = module.ident.to_string();
        let (plain, folder) = (children.join(format!("{name}.rs")), children.join(&name));
        let path = if plain.exists() { plain } else { folder.join("mod.rs") };
        modules(&path, &folder, files);
    }
    files.push((path.display().to_string(), file));
}

fn is_sqlx(path: &SynPath, names: &[&str]) -> bool {
    path.segments.first().is_some_and(|first| first.ident == "sqlx")
        && path.segments.iter().any(|segment| names.iter().any(|name| segment.ident == name))
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !of_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !of_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !of_tests(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.constant(item.ident.to_string(), &item.expr);
        visit::visit_item_const(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast ImplItemConst) {
        self.constant(item.ident.to_string(), &item.expr);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        fn names(tree: &UseTree, all: &mut Vec<String>) {
            match tree {
                UseTree::Path(path) => names(&path.tree, all),
                UseTree::Name(name) => all.push(name.ident.to_string()),
                UseTree::Rename(name) => all.push(name.ident.to_string()),
                UseTree::Glob(_) => all.push("query".to_owned()),
                UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, all)),
            }
        }
        if let UseTree::Path(path) = &item.tree
            && path.ident == "sqlx"
        {
            let mut all = Vec::new();
            names(&path.tree, &mut all);
            if all.iter().any(|name| FUNCTIONS.contains(&name.as_str()) || BUILDERS.contains(&name.as_str())) {
                self.fault("an import of what makes statements: call it by its path, sqlx::query and the like");
            }
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func {
            if is_sqlx(&function.path, &BUILDERS) {
                self.fault("a statement that is put together when the program runs");
            } else if is_sqlx(&function.path, &FUNCTIONS) {
                self.take(call.args.first());
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let literal = matches!(call.args.first(), Some(Expr::Lit(literal)) if matches!(literal.lit, Lit::Str(_)));
        if literal && METHODS.iter().any(|name| call.method == name) {
            self.take(call.args.first());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        let tokens = invoked.tokens.to_string();
        if is_sqlx(&invoked.path, &["query", "query_as", "query_scalar"]) || tokens.contains("sqlx :: query") {
            self.fault("a statement inside a macro, where it is not found");
        }
    }
}
