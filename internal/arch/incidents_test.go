package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// incident is a loss of people or rights that happened to others.
type incident struct {
	name  string // as the tests call it
	what  string
	tests []string // directory.Test
}

func incidents() []incident {
	return []incident{
		{"wg-portal #744", "a search succeeded with nobody in it, a right had been lost, and everybody was switched off", []string{"ldapsync.TestIncidents"}},
		{"gitea #7949", "an error, or an empty answer, switched people off", []string{"ldapsync.TestIncidents"}},
		{"glpi #984", "one read switched off 512 people", []string{"jml/engine.TestGuardHoldsLeaversAndLetsJoinersGo"}},
		{"zulip #13130", "accounts that nobody may touch were deactivated", []string{"jml/engine.TestAProtectedAccountSurvivesApproval"}},
		{"authentik #19295", "an edited filter deleted everybody", []string{"jml/engine.TestAnotherConfigurationIsANewEpoch", "ldapsync.TestIncidents"}},
		{"authentik #12722", "who had left stayed active, and the cure would have been worse", []string{"jml/engine.TestMissingIsNotAbsentBeforeTwoRunsAndADay", "ldapsync.TestIncidents"}},
		{"keycloak #24669", "looking one person up and not finding them deleted them", []string{"ldapsync.TestASearchThatFindsNobodyIsNoAnswer", "cmd/jmld.TestSyncOnly"}},
		{"sawtooth #271", "a read of changes deleted the people of other sources", []string{"jml/engine.TestAnotherSourceKeepsThePerson", "ldapsync.TestIncidents"}},
		{"ssosync #194", "a query that matches nothing deleted people", []string{"ldapsync.TestIncidents"}},
		{"SailPoint 200651", "a redirect was read as a list of no accounts", []string{"target/scimapp.TestMisbehaviourBecomesTheRightCause"}},
		{"azure-docs #35848", "people were told to switch the protection off", []string{"jml/engine.TestApprovalRefusesWhatIsNoLongerTrue"}},
		{"firezone #9194", "the limit stood in the way of what was right, and was raised until it held nothing",
			[]string{"jml/engine.TestGuardHoldsLeaversAndLetsJoinersGo", "jml/engine.TestNobodyJoinsAPlanUnseen"}},
		{"directory-connector #107", "one mode had no guard, and what the recycle bin held counted as people",
			[]string{"jml/engine.TestReadsOfChangesAreCountedOverTheWindow", "ldapsync.TestActiveDirectoryChangesEqualAFullRead"}},
		{"lsc #172", "there is no limit by number and share", []string{"jml.TestGuardLimits"}},
		{"GitLab rate limits", "a server that asks for patience blocked people and took their memberships", []string{"ldapsync.TestIncidents"}},
		{"Casdoor SCIM", "taking one member out emptied the group, and a filter that was not understood found strangers",
			[]string{"scim.TestPatchModel", "scim.TestFilterIsRefused"}},
	}
}

// TestEachIncidentHasATest: what happened to others is played here, by a test that names it. So are the promises of reading directories.
func TestEachIncidentHasATest(t *testing.T) {
	t.Parallel()
	list := incidents()
	for _, row := range []string{"D-01", "D-03", "D-07", "M-35", "M-36"} {
		list = append(list, incident{name: row})
	}
	texts := testTexts(t)
	for _, in := range list {
		named := false
		for _, text := range texts {
			named = named || strings.Contains(text, in.name)
		}
		if !named {
			t.Errorf("no test names %s", in.name)
		}
		for _, test := range in.tests {
			if text, ok := texts[test]; !ok || !strings.Contains(text, in.name) {
				t.Errorf("%s: there is no test %s that names it (%s)", in.name, test, in.what)
			}
		}
	}
}

// testTexts are all tests with the comments before them, by directory and name.
func testTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, filepath.Join("internal", "arch")) {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(top, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			texts[filepath.ToSlash(dir)+"."+f.Name.Name] = string(src[files.Position(from).Offset:files.Position(f.End()).Offset])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}
