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
		{"gitea #7949 and #4402", "a time limit switched everybody off", []string{"ldapsync.TestIncidents"}},
		{"OPNsense #10128", "a server that could not be reached had everybody deleted", []string{"ldapsync.TestIncidents"}},
		{"nextcloud #6699", "a changed password deleted people and what they had", []string{"ldapsync.TestIncidents"}},
		{"gitlabhq #5400", "an entry below a person's made two of one, and both were blocked", []string{"ldapsync.TestIncidents"}},
		{"mailcow-ldap-sync #3", "a container that was moved took everybody below it away", []string{"ldapsync.TestIncidents"}},
		{"directory-connector #397", "who was renamed was deleted and made anew", []string{"ldapsync.TestIncidents"}},
		{"Grafana #74318", "only the first page was read, and the others were switched off", []string{"ldapsync.TestWhatAServerHidesEachTimeStays"}},
		{"Keycloak #21359", "a changed filter had people vanish", []string{"jml/engine.TestAnotherConfigurationIsANewEpoch"}},
		{"Keycloak #46367", "the mark of the last read was lost, and nobody noticed", []string{"ldapsync.TestADoubtIsReadInFull"}},
		{"Keycloak #43752", "several nodes read at once, and a dead read kept others out", []string{"jml/engine.TestMissedAndInterruptedReadsAreMadeUpForOnce"}},
		{"pg-ldap-sync #32", "a group grew over what an answer holds, and looked empty", []string{"ldapsync.TestLongListsOfMembersAreReadInRanges"}},
		{"Ranger-5427", "only the first 1,500 members were read", []string{"ldapsync.TestLongListsOfMembersAreReadInRanges"}},
		{"syncrepl #24", "a server that does not say what it deleted had all records deleted", []string{"ldapsync.TestSyncreplDoubts"}},
		{"ReOpenLDAP #70", "a list of who is present was cut short", []string{"ldapsync.TestSyncreplDoubts"}},
		{"syncrepl #5", "who came under the name of who was deleted went with them", []string{"ldapsync.TestRandomChangesEqualAFullRead"}},
		{"python-ldap #564", "the list of who was deleted never arrived", []string{"ldapsync/wire.TestRefresh"}},
		{"win32 #1372", "another controller refused a cookie, or repeated things", []string{"ldapsync.TestADeltaGoesOnAtTheSameDomainController"}},
		{"RustHound #15", "a silent server was waited for without end", []string{"ldapsync.TestASilentServerIsGivenUp"}},
		{"trino-gateway #1173", "a referral was followed, and hung", []string{"ldapsync.TestAReferralWithinTheTreeIsNotComplete"}},
		{"go-ldap #432", "closing a connection waited for ever", []string{"ldapsync.TestACancelledReadEndsAtOnce"}},
		{"authentik 1644", "who had left stayed for years", []string{story("leaver-said-twice")}},
		{"authentik 12722", "who had left stayed active", []string{story("leaver-missing")}},
		{"authentik 5375", "accounts had no date on which they end", []string{story("date-end")}},
		{"authentik 25024", "who left a group kept what it gave", []string{story("mover-group-out")}},
		{"snipe-it 16189", "who was moved or renamed was deleted and made anew", []string{story("mover-rename-directory")}},
		{"user_ldap 751", "one collision kept everybody out", []string{story("collision-blocks-one")}},
		{"langfuse 13528", "a name in other letters was somebody else's", []string{story("case-of-user-name")}},
		{"better-auth 11111", "who came back could not be made active", []string{story("leave-and-return")}},
		{"lightdash 22402", "who came back was refused for ever", []string{story("rehire-new-record")}},
		{"casdoor 4283", "somebody in two directories was two people", []string{story("directories-of-two-companies")}},
		{"casdoor 3405", "what changed in the directory never arrived", []string{story("mover-title")}},
		{"zulip 13130", "accounts that nobody may touch were deactivated", []string{story("protected")}},
		{"sawtooth 271", "people of other sources were deleted", []string{story("one-source-leaves")}},
		{"Casdoor SCIM", "taking one member out emptied the group, and a filter that was not understood found strangers",
			[]string{"scim.TestPatchModel", "scim.TestFilterIsRefused"}},
	}
}

// story is a situation of the corpus, which a test plays.
func story(name string) string { return "jml/testdata." + name }

// decided are the requirements about who joins, moves and leaves, and what they may do.
const decided = "M-01 M-02 M-06 M-08 M-14 M-15 M-16 M-17 M-18 M-19 M-20 M-21 M-22 M-24 M-25 M-26 M-28 M-29 M-30 M-33 M-34 M-38 M-39 M-40 M-41 M-42 " +
	"M-48 M-49 M-50 M-51 M-52 M-53 M-54 M-55 M-56 M-57 M-58 M-59 M-60 M-61 M-62 D-10 D-11 D-20 D-21"

// TestEachIncidentHasATest: what happened to others is played here, by a test that names it. So are the promises of reading directories.
func TestEachIncidentHasATest(t *testing.T) {
	t.Parallel()
	list := incidents()
	for _, row := range append(strings.Fields(decided), "D-01", "D-03", "D-04", "D-07", "M-35", "M-36") {
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

// testTexts are all tests with the comments before them, by directory and name, and the situations and scripts that they play.
func testTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		played := strings.Contains(path, filepath.Join("jml", "testdata")) || strings.HasSuffix(path, ".txtar")
		if err != nil || d.IsDir() || !played && !strings.HasSuffix(path, "_test.go") || strings.Contains(path, filepath.Join("internal", "arch")) {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if played {
			dir, err := filepath.Rel(top, filepath.Dir(path))
			name := filepath.Base(path)
			texts[filepath.ToSlash(dir)+"."+strings.TrimSuffix(name, filepath.Ext(name))] = string(src)
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
